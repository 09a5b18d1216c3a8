"""Statements run over pooled ADBC connections, and what they return as Arrow."""

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db.dsn import conninfo, statement_timeout
from queries.errors import StoreTimeout, StoreUnavailable, store_error


class ArrowPool:
    """Reads from the database behind a PostgreSQL URL.

    ``timeout`` is the seconds that one read may take, waiting for a connection
    included, and ``connections`` how many are kept open; as many again are
    opened for a while when those are in use. Safe to share between threads.
    Raises ValueError for a URL that cannot be read.
    """

    def __init__(self, url: str, *, timeout: float, connections: int) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout, only_reads=True)
        self._pool = QueuePool(
            self._connect,
            pool_size=connections,
            max_overflow=connections,
            timeout=timeout,
            reset_on_return=None,
        )

    def read(self, statement: str, parameters: tuple[str, ...] | None = None) -> pa.Table:
        """What one statement returns. Raises StoreUnavailable and StoreTimeout; a mistake in it rises as it is."""
        return call_with_timeout(self.timeout + CLIENT_MARGIN_SECONDS, self._read, statement, parameters)

    def close(self) -> None:
        """Closes the connections that are idle; the others close as they come back."""
        self._pool.dispose()

    def _connect(self) -> adbc.Connection:
        connection = adbc.connect(self._conninfo, autocommit=True)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement_timeout(self.timeout))
        except adbc.Error:
            connection.close()
            raise
        return connection

    def _read(self, statement: str, parameters: tuple[str, ...] | None) -> pa.Table:
        while True:
            try:
                connection = self._pool.connect()
            except PoolTimeout as error:
                raise StoreTimeout("no database connection became free in time") from error
            except adbc.Error as error:
                raise _translate_error(error) from error
            # one from before may not have outlived a restart of the database, which only its use tells
            idle = connection.info.get("used", False)
            connection.info["used"] = True
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement, parameters)
                    # not fetch_polars, which hides the database's error behind one of its own
                    return cursor.fetch_arrow_table()
            except adbc.Error as error:
                meaning = _translate_error(error)
                lost = isinstance(meaning, StoreUnavailable)
                if lost:
                    connection.invalidate()
                if not (lost and idle):
                    raise meaning from error
            finally:
                connection.close()


def _translate_error(error: adbc.Error) -> Exception:
    return store_error(error.sqlstate, lost=error.status_code == AdbcStatusCode.IO) or error
