"""``leaderboard sql``."""

from leaderboard.cli.sql.command import sql as sql
