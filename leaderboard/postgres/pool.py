"""The pool of connections that write rows and read small tables."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TypeVar, cast

import psycopg2
from psycopg2.extensions import connection as Psycopg2Connection  # noqa: N812  it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class
from sqlalchemy.pool import PoolProxiedConnection

from queries.concurrency import CLIENT_MARGIN_SECONDS, call_with_timeout
from queries.db import (
    DURABLE_COMMIT,
    ConnectionPool,
    Lease,
    conninfo,
    database_label,
    is_outcome_known,
    transaction_settings,
    translate_psycopg2_error,
    was_used,
)
from queries.errors import OutcomeUnknown, StoreTimeout, StoreUnavailable

T = TypeVar("T")


class Database:
    """Runs statements on the database at a PostgreSQL URL.

    ``timeout`` is the limit for one operation in seconds. ``connections`` is
    the most connections that the pool opens; they are opened when they are
    needed and kept. Threads may share it.
    """

    def __init__(self, url: str, timeout: float, connections: int = 4) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout)
        self._pool = ConnectionPool(
            self._connect, size=connections, timeout=timeout, label=database_label(self._conninfo)
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
            if isinstance(error, OutcomeUnknown) or transaction.abandon():
                raise
            raise self._outcome_unknown(error) from error

    def close(self) -> None:
        """Closes the idle connections. The others close when they come back."""
        self._pool.close()

    def _connect(self) -> Psycopg2Connection:
        connection = psycopg2.connect(self._conninfo)
        # BEGIN goes out together with the settings of the transaction, not alone before its first statement
        connection.autocommit = True
        return connection

    def _run(self, work: Callable[[Cursor], T], transaction: "_Transaction") -> T:
        while True:
            try:
                with self._pool.connection() as connection, transaction.uses(connection):
                    if _begin(connection, transaction.begin_statement()):
                        return self._run_over(connection, work, transaction)
            except psycopg2.Error as error:
                if transaction.is_committing and not is_outcome_known(error):
                    raise self._outcome_unknown(error) from error
                translated = translate_psycopg2_error(error, self._conninfo)
                if translated is error:
                    raise
                raise translated from error

    def _run_over(
        self, connection: PoolProxiedConnection, work: Callable[[Cursor], T], transaction: "_Transaction"
    ) -> T:
        keep = False
        try:
            with closing(connection.cursor()) as cursor:
                result = work(cast("Cursor", cursor))
                transaction.begin_commit()
                _commit(cast("Cursor", cursor))
            keep = True
        except psycopg2.Error as error:
            is_broken = isinstance(translate_psycopg2_error(error, self._conninfo), StoreUnavailable)
            keep = not is_broken and _roll_back(connection)
            raise
        except Exception:
            keep = _roll_back(connection)
            raise
        finally:
            if not keep:
                connection.invalidate()
        return result

    def _outcome_unknown(self, error: Exception) -> OutcomeUnknown:
        return OutcomeUnknown(f"{database_label(self._conninfo)} did not confirm a commit: {error}")


class _Transaction(Lease):
    """How long a transaction may take, over which connection it runs, and whether its commit has begun.

    Two threads share it.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(_shut_down)
        self.timeout = timeout
        self.is_committing = False
        self._deadline = time.monotonic() + timeout

    def begin_statement(self) -> str:
        """The SQL that begins it, and has its statements end before its caller stops waiting.

        Raises StoreTimeout if that is past.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise StoreTimeout(f"no connection became free within {self.timeout:g} s")
        settings = transaction_settings(max(left - CLIENT_MARGIN_SECONDS, left / 2))
        return f"BEGIN; {settings}; {DURABLE_COMMIT}"

    def begin_commit(self) -> None:
        """Raises StoreTimeout where the caller has stopped waiting."""
        with self._lock:
            if self._is_given_up:
                raise StoreTimeout(f"the transaction took longer than {self.timeout:g} s")
            self.is_committing = True

    def abandon(self) -> bool:
        """Forbids the commit and ends the connection, which may hang for ever. False where the commit has begun."""
        self.give_up()
        # from now on it cannot begin
        return not self.is_committing


def _shut_down(connection: PoolProxiedConnection) -> None:
    """Has the thread that waits for the server get an error. The server may be gone without a word."""
    with suppress(psycopg2.Error, OSError, ValueError):
        descriptor = os.dup(cast("Psycopg2Connection", connection.driver_connection).fileno())
        with closing(socket.socket(fileno=descriptor)) as shared:
            shared.shutdown(socket.SHUT_RDWR)


def _begin(connection: PoolProxiedConnection, statement: str) -> bool:
    """Begins a transaction. False where the connection was broken since its last use; nothing was written then."""
    pooled = was_used(connection)
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(statement)
    except psycopg2.Error:
        connection.invalidate()
        if not pooled:
            raise
        return False
    return True


def _commit(cursor: Cursor) -> None:
    notices = cursor.connection.notices
    del notices[:]
    cursor.execute("COMMIT")
    # of a failed transaction the server makes a ROLLBACK without an error
    if cursor.statusmessage != "COMMIT":
        raise RuntimeError("a statement failed, and the transaction was rolled back")
    if notices:
        # such as: a standby that must confirm commits did not
        raise OutcomeUnknown(f"the database committed with a warning: {notices[0]}")


def _roll_back(connection: PoolProxiedConnection) -> bool:
    """Ends a transaction that failed. False where the connection is of no more use."""
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("ROLLBACK")
    except psycopg2.Error:
        return False
    return True
