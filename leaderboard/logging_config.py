"""Where the service's words go: standard error, one line each."""

import logging

TRACE = 5
"""Below DEBUG, which tells of every request: what was posted as well."""


def configure(level: str) -> None:
    """Logs from ``level`` up, one of ``settings.LOG_LEVELS``."""
    logging.addLevelName(TRACE, "TRACE")
    logging.addLevelName(logging.WARNING, "WARN")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("leaderboard").setLevel(level)
