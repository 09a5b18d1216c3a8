"""The leaderboard service: whatever touches Flask, the environment or writes."""
