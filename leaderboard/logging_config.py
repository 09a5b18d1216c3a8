"""Logging to standard error, one line for each message."""

import logging
from textwrap import indent
from typing import Any

from leaderboard.plain_text import escape_controls, escape_controls_in_lines
from queries.errors import truncate

TRACE = 5
"""A level below DEBUG. DEBUG logs each request, TRACE also what was posted."""
MAX_LINE_CHARACTERS = 2 << 20
"""A posted result is shorter."""


class LineFormatter(logging.Formatter):
    """Formats each message as one line, so that no text in it can look like a line of its own.

    Only tracebacks have more lines, which are indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging names it
        """The line, with control characters as escape sequences."""
        return escape_controls(truncate(super().formatMessage(record), MAX_LINE_CHARACTERS))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback, indented."""
        return indent(escape_controls_in_lines(super().formatException(ei)), "  ")


def configure(level: str) -> None:
    """Logs from ``level`` up, one of ``setting_parsers.LOG_LEVELS``."""
    logging.addLevelName(TRACE, "TRACE")
    logging.addLevelName(logging.WARNING, "WARN")
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # does nothing where the log has a handler
    logging.basicConfig(handlers=[handler])
    for own in logging.getLogger("gunicorn.error").handlers:
        if own.formatter is not None:
            own.setFormatter(LineFormatter(own.formatter._fmt, own.formatter.datefmt))
    logging.getLogger("leaderboard").setLevel(level)
