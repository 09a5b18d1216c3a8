"""Who writes to the lake of a database, or deletes what it has: one process at a time, on whatever machine."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from leaderboard.lake.table import LakeConflict
from leaderboard.postgres.admin import DatabaseUnavailable, connect
from queries import StoreUnavailable

LOCK = zlib.crc32(b"leaderboard lake")
"""The advisory lock, which belongs to one database."""


@contextmanager
def alone(url: str, timeout: float) -> Iterator[None]:
    """While no other process writes to the lake of the database behind ``url``; ``timeout`` seconds to connect.

    Raises LakeConflict, at once, where another one does, and StoreUnavailable
    where the database cannot be reached.
    """
    try:
        connection = connect(url, timeout)
    except DatabaseUnavailable as error:
        raise StoreUnavailable(str(error)) from error
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
            (ours,) = cursor.fetchone()
    except psycopg2.Error as error:
        connection.close()
        raise StoreUnavailable("the database is not available") from error
    try:
        if not ours:
            raise LakeConflict("another process is at work on the lake")
        yield
    finally:
        # the lock ends with its session
        connection.close()
