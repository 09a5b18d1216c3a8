"""A lock that lets one process at a time write to the lake of a database, or delete what the lake has."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2

from leaderboard.lake.errors import LakeConflict
from leaderboard.postgres.admin import connect
from queries.db import translate_psycopg2_error

LOCK_ID = zlib.crc32(b"leaderboard lake")
"""The key of the advisory lock. PostgreSQL keeps advisory locks per database."""


@contextmanager
def exclusive_lock(url: str, timeout: float) -> Iterator[None]:
    """Holds the lock of the database at ``url``. ``timeout`` is the limit for connecting, in seconds.

    Raises LakeConflict at once if another process, on any machine, holds the
    lock, and StoreUnavailable if the database cannot be reached.
    """
    connection = connect(url, timeout)
    try:
        if not _try_lock(connection, url):
            raise LakeConflict("another process is at work on the lake")
        try:
            yield
        finally:
            _unlock(connection)
    finally:
        connection.close()


def _try_lock(connection: psycopg2.extensions.connection, url: str) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_ID,))
            ((locked,),) = cursor
            return bool(locked)
    except psycopg2.Error as error:
        raise translate_psycopg2_error(error, url) from error


def _unlock(connection: psycopg2.extensions.connection) -> None:
    # the server notices a closed connection some time later, and the next process would find the lock taken;
    # a lost connection has no lock any more
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", (LOCK_ID,))
