"""The leaderboard service: HTTP, the command line, and everything that reads settings or writes data."""
