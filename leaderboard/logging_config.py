"""Logging to standard error, one line for each message."""

import logging

TRACE = 5
"""A level below DEBUG. DEBUG logs each request, TRACE also what was posted."""


def configure(level: str) -> None:
    """Logs from ``level`` up, one of ``setting_parsers.LOG_LEVELS``."""
    logging.addLevelName(TRACE, "TRACE")
    logging.addLevelName(logging.WARNING, "WARN")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("leaderboard").setLevel(level)
