"""Logging to standard error, one line for each message."""

import logging
from typing import Any

from queries.errors import shorten

TRACE = 5
"""A level below DEBUG. DEBUG logs each request, TRACE also what was posted."""
MAX_MESSAGE_CHARACTERS = 2 << 20
"""A posted result is shorter."""


class LineFormatter(logging.Formatter):
    """Writes a message as one line, with escapes for the control characters of any text from outside."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name is logging's
        """The line, without a traceback."""
        record.message = shorten(record.message, MAX_MESSAGE_CHARACTERS)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The lines of a traceback."""
        return "\n".join(shorten(line, MAX_MESSAGE_CHARACTERS) for line in super().formatException(ei).split("\n"))


def configure(level: str) -> None:
    """Logs from ``level`` up, one of ``setting_parsers.LOG_LEVELS``."""
    logging.addLevelName(TRACE, "TRACE")
    logging.addLevelName(logging.WARNING, "WARN")
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("leaderboard").setLevel(level)
