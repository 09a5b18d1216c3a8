"""Logs refused posts, so that an operator sees them and nobody can flood the log."""

import logging

from leaderboard.counted_log import COUNT_SECONDS, CountedLog
from queries.errors import shorten

MAX_REASON_CHARACTERS, MAX_SENDER_CHARACTERS = 500, 200


class RefusalLog:
    """Logs the first refused post of a kind at once, with its reason and sender, and a count of the others."""

    def __init__(self, count_seconds: float = COUNT_SECONDS) -> None:
        self._log = CountedLog(logging.getLogger(__name__), count_seconds)

    def add(self, kind: str, reason: str, sender: str) -> None:
        """Notes a refused post. ``kind`` is one of few, such as "a wrong signature"."""
        reason, sender = shorten(reason, MAX_REASON_CHARACTERS), shorten(sender, MAX_SENDER_CHARACTERS)
        self._log.add(
            kind,
            f"refused a post from {sender} for {kind}: {reason}",
            lambda number, seconds: (
                f"refused {number} more posts for {kind} within {seconds:.0f} s, the last one from {sender}: {reason}"
            ),
        )

    def close(self) -> None:
        """Logs the counts so far."""
        self._log.close()
