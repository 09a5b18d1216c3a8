"""A connection for statements that take a fraction of a millisecond, without threads and further round trips."""

import select
import time
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extensions import connection as Connection

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS
from queries.db.dsn import SILENCE, conninfo, statement_timeout
from queries.errors import StoreTimeout, StoreUnavailable, store_error


class DirectConnection:
    """One connection to the database behind a PostgreSQL URL, made when it is needed. For one thread at a time.

    Each statement is a transaction of its own. ``timeout`` is the seconds
    that one may take, connecting included. What only reads does not ask a
    database at once again that took no connection in time, so that not
    everybody waits for it.
    """

    def __init__(self, url: str, timeout: float, *, only_reads: bool = False) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout, only_reads=only_reads)
        self._pause = SILENCE if only_reads else 0
        self._away_until = 0.0
        self._idle: Connection | None = None

    def run(self, statement: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows that a statement returns; what it writes is committed by then.

        Raises StoreUnavailable where the database cannot be reached and
        StoreTimeout where it takes too long, in which cases it is not known
        whether the statement was done; what it refuses rises as psycopg2's error.
        """
        deadline = time.monotonic() + self.timeout + CLIENT_MARGIN_SECONDS
        connection, self._idle = self._idle, None
        try:
            if connection is None or _has_ended(connection):
                connection = self._connect()
                _ask(connection, statement_timeout(self.timeout), None, deadline)
            rows = _ask(connection, statement, parameters, deadline)
        except psycopg2.Error as error:
            lost = isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError))
            meaning = store_error(error.pgcode, lost=lost)
            if meaning is None:
                # it is as good as before
                self._idle = connection
                raise
            if connection is not None:
                connection.close()
            raise meaning from error
        self._idle = connection
        return rows

    def _connect(self) -> Connection:
        began = time.monotonic()
        if began < self._away_until:
            raise StoreUnavailable("the database took no connection a moment ago")
        connection = psycopg2.connect(self._conninfo, async_=True)
        try:
            _wait(connection, began + min(SILENCE, self.timeout + CLIENT_MARGIN_SECONDS))
        except StoreTimeout as error:
            self._away_until = time.monotonic() + self._pause
            raise StoreUnavailable("the database takes no connection") from error
        return connection

    def close(self) -> None:
        """Closes the connection."""
        if self._idle is not None:
            self._idle.close()


def _has_ended(connection: Connection) -> bool:
    """Whether the server has closed a connection that was idle: it says so, and nothing else, unasked."""
    ended = connection.closed or _ready(connection, select.POLLIN, 0)
    if ended:
        connection.close()
    return bool(ended)


def _ask(connection: Connection, statement: str, parameters: dict[str, Any] | None, deadline: float) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        _wait(connection, deadline)
        return cursor.fetchall() if cursor.description else []


def _wait(connection: Connection, deadline: float) -> None:
    """Returns once the connection has done what it was told; gives it up where that takes too long."""
    while (state := connection.poll()) != POLL_OK:
        events = select.POLLIN if state == POLL_READ else select.POLLOUT
        if not _ready(connection, events, max(0, deadline - time.monotonic())):
            connection.close()
            raise StoreTimeout("no answer from the database in time")


def _ready(connection: Connection, events: int, seconds: float) -> bool:
    ready = select.poll()
    ready.register(connection.fileno(), events)
    return bool(ready.poll(seconds * 1000))
