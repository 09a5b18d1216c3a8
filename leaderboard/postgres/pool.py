"""The pool of connections that write rows and read small tables."""

from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar, cast

import psycopg2
from psycopg2.extensions import connection as Psycopg2Connection  # noqa: N812  it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from queries.concurrency import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db import conninfo, database_label, statement_timeout, translate_psycopg2_error
from queries.errors import StoreTimeout, StoreUnavailable

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

    def run(self, work: Callable[[Cursor], T]) -> T:
        """What ``work`` returns. Its statements are one transaction, which is committed when this returns.

        Raises StoreUnavailable where the database cannot be reached, and
        StoreTimeout where it takes too long. After these it is unknown
        whether the transaction was committed. Other errors of ``work`` roll
        back and rise as they are.
        """
        return call_with_timeout(self.timeout + CLIENT_MARGIN_SECONDS, lambda: self._run(work))

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

    def _run(self, work: Callable[[Cursor], T]) -> T:
        connection = self._take_connection()
        try:
            with closing(connection.cursor()) as cursor:
                result = work(cast("Cursor", cursor))
            connection.commit()
            return result
        except psycopg2.Error as error:
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
