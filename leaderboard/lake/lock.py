"""A lock that lets one process at a time write to the lake of a database, or delete what the lake has."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from leaderboard.lake.errors import LakeConflict
from queries.db import AdvisoryLock
from queries.errors import StoreUnavailable

LOCK_ID = zlib.crc32(b"leaderboard lake")
"""The key of the advisory lock. PostgreSQL keeps advisory locks per database."""
MAX_HOLD_TIME = timedelta(hours=24)
"""A process that has held the lock for longer does not work any more."""
MAX_IDLE_SESSION_TIME = timedelta(hours=1)
"""The same, for the lock of a session that does nothing: older releases left it behind a pooler."""


@contextmanager
def exclusive_lock(url: str, timeout: float) -> Iterator[AdvisoryLock]:
    """Holds the lock of the database at ``url``. ``timeout`` is the limit for connecting, in seconds.

    Its ``check`` raises if the lock was lost. Raises LakeConflict at once
    if another process, on any machine, holds the lock. Raises StoreUnavailable
    if the database cannot be reached, and if that process has stopped working.
    """
    with AdvisoryLock(url, timeout, [LOCK_ID]) as lock:
        if not lock.acquire():
            holder = lock.holder()
            if holder and holder.age > (MAX_IDLE_SESSION_TIME if holder.is_idle_session else MAX_HOLD_TIME):
                raise StoreUnavailable(
                    f"{holder} holds the lock of the lake; if no process is at work on the lake, end it with "
                    f"SELECT pg_terminate_backend({holder.pid})"
                )
            raise LakeConflict("another process is at work on the lake")
        yield lock
