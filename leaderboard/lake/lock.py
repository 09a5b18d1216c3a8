"""A lock that lets one process at a time write to a lake, and one at a time delete from its database."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from leaderboard.lake.errors import LakeConflict
from leaderboard.lake.table import LakeTable
from queries.db import AdvisoryLock
from queries.errors import StoreUnavailable

PRUNE_LOCK_ID = zlib.crc32(b"leaderboard lake")
"""The key of the advisory lock for deleting. Older releases hold it for a sync as well."""
MAX_HOLD_TIME = timedelta(hours=24)
"""A process that has held the lock for longer does not work any more."""
MAX_IDLE_SESSION_TIME = timedelta(hours=1)
"""The same, for the lock of a session that does nothing: older releases left it behind a pooler."""


def lake_lock_id(table_id: str) -> int:
    """The key of the advisory lock of a lake.

    A table's own id is the same for all that share it, whatever their machines
    and the names that they have for it.
    """
    return zlib.crc32(f"leaderboard lake {table_id}".encode())


@contextmanager
def exclusive_lock(url: str, lake_url: str, timeout: float, *, for_prune: bool = False) -> Iterator[AdvisoryLock]:
    """Holds the lock of a lake of the database at ``url``, and with ``for_prune`` the one for deleting as well.

    The lake is created if there is none. ``timeout`` is the limit for
    connecting, in seconds. The lock's ``check`` raises if it was lost. Raises
    LakeConflict at once if another process, on any machine, holds it. Raises
    LakeError if the lake can be neither opened nor created, and
    StoreUnavailable if the database cannot be reached, or the process that
    holds the lock has stopped working.
    """
    keys = [lake_lock_id(LakeTable(lake_url).id), *([PRUNE_LOCK_ID] if for_prune else [])]
    with AdvisoryLock(url, timeout, keys) as lock:
        if not lock.acquire():
            holder = lock.holder()
            if holder and holder.age > (MAX_IDLE_SESSION_TIME if holder.is_idle_session else MAX_HOLD_TIME):
                raise StoreUnavailable(
                    f"{holder} holds the lock of the lake; if no process is at work on the lake, end it with "
                    f"SELECT pg_terminate_backend({holder.pid})"
                )
            raise LakeConflict("another process is at work on the lake")
        yield lock
