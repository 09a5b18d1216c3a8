"""One connection for statements that take a fraction of a millisecond, without threads or extra round trips."""

import select
import time
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extensions import connection as Connection  # noqa: N812  it is a class

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS
from queries.db.driver_errors import translate_psycopg2_error
from queries.db.dsn import MAX_SILENCE_SECONDS, conninfo, database_label, statement_timeout
from queries.errors import StoreError, StoreTimeout, StoreUnavailable


class DirectConnection:
    """One connection to the database at a PostgreSQL URL, opened when it is first needed.

    Only one thread may use it at a time. Each statement is a transaction of
    its own. ``timeout`` is the limit for one statement in seconds, including
    connecting.

    With ``only_reads``, a database that accepts no connection in time is not
    tried again for MAX_SILENCE_SECONDS: the first request waits, and later
    ones fail fast.
    """

    def __init__(self, url: str, timeout: float, *, only_reads: bool = False) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout, only_reads=only_reads)
        self._retry_pause = MAX_SILENCE_SECONDS if only_reads else 0
        self._retry_at = 0.0
        self._idle: Connection | None = None

    def run(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows that a statement returns. What it writes is committed when this returns.

        Raises StoreUnavailable and StoreTimeout; after these it is unknown
        whether the statement was executed. An error in the statement itself
        rises as psycopg2's error.
        """
        deadline = time.monotonic() + self.timeout + CLIENT_MARGIN_SECONDS
        connection, self._idle = self._idle, None
        try:
            if connection is None or _has_ended(connection):
                connection = self._connect()
                self._execute(connection, statement_timeout(self.timeout), None, deadline)
            rows = self._execute(connection, statement, parameters, deadline)
        except psycopg2.Error as error:
            translated = translate_psycopg2_error(error, self._conninfo)
            if not isinstance(translated, StoreError):
                # only the statement failed; the connection still works
                self._idle = connection
                raise
            if connection is not None:
                connection.close()
            raise translated from error
        self._idle = connection
        return rows

    def close(self) -> None:
        """Closes the connection."""
        if self._idle is not None:
            self._idle.close()

    def _connect(self) -> Connection:
        began = time.monotonic()
        if began < self._retry_at:
            raise StoreUnavailable(f"{database_label(self._conninfo)} is not available: it accepted no connection")
        connection = psycopg2.connect(self._conninfo, async_=True)
        try:
            self._wait(connection, began + min(MAX_SILENCE_SECONDS, self.timeout + CLIENT_MARGIN_SECONDS))
        except StoreTimeout as error:
            self._retry_at = time.monotonic() + self._retry_pause
            raise StoreUnavailable(
                f"{database_label(self._conninfo)} is not available: it accepts no connection"
            ) from error
        return connection

    def _execute(
        self, connection: Connection, statement: str, parameters: dict[str, Any] | None, deadline: float
    ) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            self._wait(connection, deadline)
            return cursor.fetchall() if cursor.description else []

    def _wait(self, connection: Connection, deadline: float) -> None:
        """Returns when the connection has finished its work. After the deadline, closes it and raises StoreTimeout."""
        while (state := connection.poll()) != POLL_OK:
            events = select.POLLIN if state == POLL_READ else select.POLLOUT
            if not _is_ready(connection, events, max(0, deadline - time.monotonic())):
                connection.close()
                raise StoreTimeout(f"{database_label(self._conninfo)} did not answer in time")


def _has_ended(connection: Connection) -> bool:
    """Whether the server has closed an idle connection. Its farewell is the only thing that it sends unasked."""
    ended = bool(connection.closed) or _is_ready(connection, select.POLLIN, 0)
    if ended:
        connection.close()
    return ended


def _is_ready(connection: Connection, events: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), events)
    return bool(poll.poll(seconds * 1000))
