"""``leaderboard export``."""

from leaderboard.cli.export.command import export as export
