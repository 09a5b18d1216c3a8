"""The pool of connections that write rows and read small tables."""

import time
from collections.abc import Callable
from contextlib import closing
from threading import Lock
from typing import Any, TypeVar, cast

import psycopg2
from psycopg2.extensions import connection as Psycopg2Connection  # noqa: N812  it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from queries.concurrency import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db import conninfo, database_label, is_outcome_known, statement_timeout, translate_psycopg2_error
from queries.errors import OutcomeUnknown, StoreTimeout, StoreUnavailable

T = TypeVar("T")


class Database:
    """Runs statements on the database at a PostgreSQL URL.

    ``timeout`` is the limit for one operation in seconds. ``connections`` is
    how many connections the pool keeps open; it opens as many again for a
    while when all of these are in use. Threads may share it.
    """

    def __init__(self, url: str, timeout: float, connections: int = 4) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout)
        self._pool = QueuePool(
            # SQLAlchemy's protocol of a connection is narrower than psycopg2's own types
            cast("Any", self._connect),
            pool_size=connections,
            max_overflow=connections,
            timeout=timeout,
            # a restart of the database breaks pooled connections, so each one is tested before it is used
            pre_ping=True,
            dialect=dialect(dbapi=psycopg2),  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated
        )

    def run(self, work: Callable[[Cursor], T], timeout: float | None = None) -> T:
        """What ``work`` returns. Its statements are one transaction, which is committed when this returns.

        ``timeout`` is the limit for this operation in seconds, where it is
        less than the pool's own. Raises StoreUnavailable where the database
        cannot be reached, and StoreTimeout where it takes too long: after
        these nothing is committed, now or later. Raises OutcomeUnknown where
        nobody confirmed the commit. Other errors of ``work`` roll back and
        rise as they are.
        """
        limit = self.timeout + CLIENT_MARGIN_SECONDS if timeout is None else timeout
        transaction = _Transaction(min(limit, self.timeout + CLIENT_MARGIN_SECONDS))
        try:
            return call_with_timeout(transaction.timeout, lambda: self._run(work, transaction))
        except StoreTimeout as error:
            if transaction.abandon():
                raise
            raise OutcomeUnknown(f"{database_label(self._conninfo)} did not confirm a commit: {error}") from error

    def ping(self) -> None:
        """Returns when the database has answered. Raises StoreUnavailable and StoreTimeout."""
        self.run(lambda cursor: cursor.execute("SELECT 1"))

    def close(self) -> None:
        """Closes the idle connections. The others close when they come back."""
        self._pool.dispose()

    def _connect(self) -> Psycopg2Connection:
        connection = psycopg2.connect(self._conninfo)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement_timeout(self.timeout))
        except psycopg2.Error:
            connection.close()
            raise
        return connection

    def _run(self, work: Callable[[Cursor], T], transaction: "_Transaction") -> T:
        connection = self._take_connection()
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute(transaction.set_timeout())
                result = work(cast("Cursor", cursor))
            transaction.begin_commit()
            connection.commit()
            return result
        except psycopg2.Error as error:
            if transaction.is_committing and not is_outcome_known(error):
                connection.invalidate()
                raise OutcomeUnknown(f"{database_label(self._conninfo)} did not confirm a commit: {error}") from error
            translated = translate_psycopg2_error(error, self._conninfo)
            if isinstance(translated, StoreUnavailable):
                connection.invalidate()
            if translated is error:
                raise
            raise translated from error
        finally:
            # the pool rolls back an uncommitted transaction
            connection.close()

    def _take_connection(self) -> PoolProxiedConnection:
        try:
            return self._pool.connect()
        except PoolTimeout as error:
            label = database_label(self._conninfo)
            raise StoreTimeout(f"no connection to {label} became free in {self.timeout:g} s") from error
        except psycopg2.Error as error:
            raise translate_psycopg2_error(error, self._conninfo) from error


class _Transaction:
    """How long a transaction may take, and whether its commit has begun. Two threads share it."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.is_committing = False
        self._deadline = time.monotonic() + timeout
        self._is_abandoned = False
        self._lock = Lock()

    def set_timeout(self) -> str:
        """The SQL that ends its statements before its caller stops waiting. Raises StoreTimeout if that is past."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise StoreTimeout(f"no connection became free within {self.timeout:g} s")
        return statement_timeout(max(left - CLIENT_MARGIN_SECONDS, left / 2)).replace("SET", "SET LOCAL", 1)

    def begin_commit(self) -> None:
        """Raises StoreTimeout where the caller has stopped waiting."""
        with self._lock:
            if self._is_abandoned:
                raise StoreTimeout(f"the transaction took longer than {self.timeout:g} s")
            self.is_committing = True

    def abandon(self) -> bool:
        """Forbids the commit. False where it has begun."""
        with self._lock:
            self._is_abandoned = True
            return not self.is_committing
