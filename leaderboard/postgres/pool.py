"""The connections over which rows are written, and small tables read."""

from collections.abc import Callable
from typing import TypeVar

import psycopg2
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from queries import StoreTimeout
from queries.concurrency import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db import conninfo, statement_timeout, translate_psycopg2_error

T = TypeVar("T")


class Database:
    """A pool of connections to the database behind a PostgreSQL URL; ``timeout`` is seconds per operation."""

    def __init__(self, url: str, timeout: float, connections: int = 4) -> None:
        self._timeout = timeout
        self._conninfo = conninfo(url, timeout)
        self._engine = create_engine(
            # libpq reads the URL itself, so that every option in it means what it means there
            "postgresql+psycopg2://",
            creator=self._connect,
            pool_pre_ping=True,
            pool_size=connections,
            max_overflow=connections,
            pool_timeout=timeout,
            # an error is logged, and what was posted is not to be in it
            hide_parameters=True,
        )

    def run(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, done in one transaction that is committed by then.

        Raises StoreUnavailable where the database cannot be reached and
        StoreTimeout where it takes too long, in which case it is not known
        whether it was done; other errors as they come.
        """
        return call_with_timeout(self._timeout + CLIENT_MARGIN_SECONDS, self._run, work)

    def ping(self) -> None:
        """Returns where the database answers; raises as ``run`` does."""
        self.run(lambda connection: connection.execute(text("SELECT 1")))

    def close(self) -> None:
        """Closes the connections that are idle; the others close as they come back."""
        self._engine.dispose()

    def _connect(self) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(self._conninfo)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement_timeout(self._timeout))
        except psycopg2.Error:
            connection.close()
            raise
        return connection

    def _run(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except PoolTimeout as error:
            raise StoreTimeout("no database connection became free in time") from error
        except (DBAPIError, psycopg2.Error) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            translated = translate_psycopg2_error(cause, self._conninfo) if isinstance(cause, psycopg2.Error) else error
            raise (error if translated is cause else translated) from error
