"""A pool of ADBC connections whose statements return Arrow tables."""

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db.driver_errors import store_error
from queries.db.dsn import conninfo, database_label, statement_timeout
from queries.errors import StoreTimeout, StoreUnavailable


class ArrowPool:
    """Reads from the database at a PostgreSQL URL.

    ``timeout`` is the limit for one read in seconds, including the wait for a
    connection. ``connections`` is how many connections the pool keeps open;
    it opens as many again for a while when all of these are in use. Threads
    may share a pool. Raises ValueError for a URL that libpq cannot read.
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
        """The rows that one statement returns.

        Raises StoreUnavailable and StoreTimeout. An error in the statement
        itself rises as the driver's error.
        """
        return call_with_timeout(self.timeout + CLIENT_MARGIN_SECONDS, self._read, statement, parameters)

    def close(self) -> None:
        """Closes the idle connections. The others close when they come back."""
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
            connection = self._take_connection()
            # a restart of the database breaks pooled connections, which only shows when they are used
            pooled = connection.info.get("used", False)
            connection.info["used"] = True
            try:
                return _execute(connection, statement, parameters)
            except adbc.Error as error:
                translated = self._translate_error(error)
                lost = isinstance(translated, StoreUnavailable)
                if lost:
                    connection.invalidate()
                if not (lost and pooled):
                    raise translated from error
            finally:
                connection.close()

    def _take_connection(self) -> PoolProxiedConnection:
        try:
            return self._pool.connect()
        except PoolTimeout as error:
            label = database_label(self._conninfo)
            raise StoreTimeout(f"no connection to {label} became free in {self.timeout:g} s") from error
        except adbc.Error as error:
            raise self._translate_error(error) from error

    def _translate_error(self, error: adbc.Error) -> Exception:
        lost = error.status_code == AdbcStatusCode.IO
        return store_error(self._conninfo, error.sqlstate, str(error), lost=lost) or error


def _execute(connection: PoolProxiedConnection, statement: str, parameters: tuple[str, ...] | None) -> pa.Table:
    cursor: adbc.Cursor = connection.cursor()
    with cursor:
        cursor.execute(statement, parameters)
        # fetch_polars would hide the database's error behind one of its own
        return cursor.fetch_arrow_table()
