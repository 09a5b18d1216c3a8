"""A pool of ADBC connections whose statements return Arrow tables."""

from typing import cast

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_manager import AdbcStatusCode
from sqlalchemy.pool import PoolProxiedConnection

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db.connection_pool import ConnectionPool, Lease, was_used
from queries.db.driver_errors import Meaning, meaning_of, store_error
from queries.db.dsn import conninfo, database_label
from queries.db.transaction_settings import transaction_settings
from queries.errors import StoreTimeout, StoreUnavailable


class ArrowPool:
    """Reads from the database at a PostgreSQL URL.

    Each read is a transaction of its own. The driver prepares a statement and
    executes it in a second round trip; outside a transaction, a pooler could
    send that to another server connection, which executes another client's
    statement.

    ``timeout`` is the limit for one read in seconds, including the wait for a
    connection. ``connections`` is the most connections that the pool opens;
    they are opened when they are needed and kept. Threads may share a pool.
    Raises ValueError for a URL that libpq cannot read.
    """

    def __init__(self, url: str, *, timeout: float, connections: int) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout, only_reads=True)
        self._begin = f"BEGIN READ ONLY; {transaction_settings(timeout)}"
        self._pool = ConnectionPool(
            self._connect, size=connections, timeout=timeout, label=database_label(self._conninfo)
        )

    def read(self, statement: str, parameters: tuple[str, ...] | None = None) -> pa.Table:
        """The rows that one statement returns.

        Raises StoreUnavailable and StoreTimeout. An error in the statement
        itself rises as the driver's error.
        """
        # the driver does not tell its socket, so nobody can end a call that hangs; it loses its place in the pool
        lease = Lease(lambda connection: connection.detach())
        try:
            return call_with_timeout(self.timeout + CLIENT_MARGIN_SECONDS, self._read, lease, statement, parameters)
        except StoreTimeout:
            lease.give_up()
            raise

    def close(self) -> None:
        """Closes the idle connections. The others close when they come back."""
        self._pool.close()

    def _connect(self) -> adbc.Connection:
        # in autocommit the driver sends no BEGIN and COMMIT of its own; its COMMIT would open the next transaction
        return adbc.connect(self._conninfo, autocommit=True)

    def _read(self, lease: Lease, statement: str, parameters: tuple[str, ...] | None) -> pa.Table:
        while True:
            pooled = False
            try:
                with self._pool.connection() as connection, lease.uses(connection):
                    pooled = was_used(connection)
                    return self._read_over(connection, statement, parameters)
            except adbc.Error as error:
                # all pooled connections may be broken, but a new one is not
                if not (pooled and _classify(error).new_connection_helps):
                    raise self._translate_error(error) from error

    def _read_over(
        self, connection: PoolProxiedConnection, statement: str, parameters: tuple[str, ...] | None
    ) -> pa.Table:
        keep = False
        try:
            table = self._execute(connection, statement, parameters)
            keep = True
        except adbc.Error as error:
            keep = not isinstance(self._translate_error(error), StoreUnavailable)
            raise
        finally:
            if not (keep and _end_transaction(connection)):
                opened = cast("adbc.Connection", connection.dbapi_connection)
                connection.invalidate()
                # the pool does not close one that was given up
                opened.close()
        return table

    def _execute(
        self, connection: PoolProxiedConnection, statement: str, parameters: tuple[str, ...] | None
    ) -> pa.Table:
        cursor: adbc.Cursor = connection.cursor()
        with cursor:
            cursor.executescript(self._begin)
            cursor.execute(statement, parameters)
            # fetch_polars would hide the database's error behind one of its own
            return cursor.fetch_arrow_table()

    def _translate_error(self, error: adbc.Error) -> Exception:
        return store_error(self._conninfo, error.sqlstate, str(error), lost=_is_lost(error)) or error


def _end_transaction(connection: PoolProxiedConnection) -> bool:
    """Ends the transaction, whether it failed or not. False where the connection is of no more use."""
    cursor: adbc.Cursor = connection.cursor()
    try:
        with cursor:
            cursor.executescript("COMMIT")
    except adbc.Error:
        return False
    return True


def _classify(error: adbc.Error) -> Meaning:
    return meaning_of(error.sqlstate, str(error), lost=_is_lost(error))


def _is_lost(error: adbc.Error) -> bool:
    return bool(error.status_code == AdbcStatusCode.IO)
