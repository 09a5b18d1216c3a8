"""Advisory locks that a transaction holds, so that they work through a pooler and never stay behind.

A lock of a session would stay on the server connection of a pooler after its
client has left. PostgreSQL's two kinds of advisory locks exclude each other
where their keys are the same.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import NamedTuple, Self

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from queries.db.driver_errors import translate_psycopg2_error
from queries.db.dsn import conninfo
from queries.db.transaction_settings import BEGIN_WITHOUT_LIMITS

_TRY_LOCKS = "SELECT bool_and(pg_try_advisory_xact_lock(key)) FROM unnest(%s::bigint[]) key"
# the view has a key of 64 bits in two halves
_HOLDER = """
    SELECT l.pid, coalesce(a.state, 'unknown'),
        coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change)), 0)::float8
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32) | l.objid::bigint = ANY (%s::bigint[])
    ORDER BY 3 DESC LIMIT 1"""


class LockHolder(NamedTuple):
    """Who holds a lock: the pid of its server process, what that does, and for how long.

    ``state`` is that of pg_stat_activity. Our transactions are "idle in
    transaction" all the time; "idle" has a lock of a session.
    """

    pid: int
    state: str
    age: timedelta

    @property
    def is_idle_session(self) -> bool:
        """Whether the lock is that of a session that does nothing."""
        return self.state == "idle"

    def __str__(self) -> str:
        """The holder as a part of a sentence."""
        age = timedelta(seconds=round(self.age.total_seconds()))
        return f"the server process {self.pid} ({self.state}, for {age})"


class AdvisoryLock:
    """The advisory locks with these keys, in the database at ``url``. Use it in a ``with`` statement, by one thread.

    ``timeout`` is the limit for connecting, in seconds. All methods raise
    StoreUnavailable and StoreTimeout.
    """

    def __init__(self, url: str, timeout: float, keys: Sequence[int]) -> None:
        self._url = url
        self._keys = list(keys)
        try:
            self._connection = psycopg2.connect(conninfo(url, timeout))
        except psycopg2.Error as error:
            raise translate_psycopg2_error(error, url) from error
        self._connection.autocommit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # the server notices a closed connection some time later, and the next process would find the lock taken;
        # a lost connection has no lock any more
        with suppress(psycopg2.Error), self._connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
        self._connection.close()

    def acquire(self) -> bool:
        """Takes all of the locks, or none of them where another process holds one. Does not wait.

        A statement that waited would block another process's CREATE INDEX
        CONCURRENTLY. The open transaction does not, because it has no snapshot
        between its statements.
        """
        with self._statements() as cursor:
            cursor.execute(BEGIN_WITHOUT_LIMITS)
            cursor.execute(_TRY_LOCKS, (self._keys,))
            ((acquired,),) = cursor.fetchall()
            if not acquired:
                cursor.execute("ROLLBACK")
        return bool(acquired)

    def check(self) -> None:
        """Returns if the locks are still held. Call it before a commit of what they protect."""
        with self._statements() as cursor:
            cursor.execute("SELECT 1")

    def holder(self) -> LockHolder | None:
        """The process that has held one of the locks longest, where ``acquire`` returned False."""
        with self._statements() as cursor:
            cursor.execute(_HOLDER, (self._keys,))
            rows = cursor.fetchall()
        return LockHolder(rows[0][0], rows[0][1], timedelta(seconds=rows[0][2])) if rows else None

    @contextmanager
    def _statements(self) -> Iterator[Cursor]:
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            raise translate_psycopg2_error(error, self._url) from error
