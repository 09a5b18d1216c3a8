"""One connection for statements that take a fraction of a millisecond, without threads or extra round trips."""

import logging
import select
import time
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ
from psycopg2.extensions import connection as Connection  # noqa: N812  it is a class

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS
from queries.db.driver_errors import is_outcome_known, translate_psycopg2_error
from queries.db.dsn import MAX_SILENCE_SECONDS, connect_timeout, conninfo, database_label, single_hosts
from queries.db.transaction_settings import DURABLE_COMMIT, transaction_settings
from queries.errors import OutcomeUnknown, StoreError, StoreTimeout, StoreUnavailable

log = logging.getLogger(__name__)


class _SilentHostError(StoreUnavailable):
    """A host accepted no connection in time."""


class DirectConnection:
    """One connection to the database at a PostgreSQL URL, opened when it is first needed.

    Only one thread may use it at a time. Each statement is a transaction of
    its own, and leaves nothing behind in its session. ``timeout`` is the
    limit for one statement in seconds, including connecting. Connecting may
    take as long as connect_timeout of the URL says.

    With ``only_reads``, a database that accepts no connection in time is not
    tried again for MAX_SILENCE_SECONDS: the first request waits, and later
    ones fail fast.
    """

    def __init__(self, url: str, timeout: float, *, only_reads: bool = False) -> None:
        self.timeout = timeout
        self._conninfo = conninfo(url, timeout, only_reads=only_reads)
        # libpq goes on to the next host after a time-out only where it waits itself, which would need a thread
        self._hosts = single_hosts(self._conninfo)
        self._connect_timeout = connect_timeout(self._conninfo)
        self._settings = transaction_settings(timeout)
        self._retry_pause = MAX_SILENCE_SECONDS if only_reads else 0
        self._retry_at = 0.0
        self._idle: Connection | None = None

    def open(self) -> None:
        """Opens the connection, if it is not open, so that it need not be opened when there is no slot left for it.

        Another thread may use it meanwhile. Raises StoreUnavailable.
        """
        if self._idle is None:
            connection = self._connect(time.monotonic() + self.timeout)
            if self._idle is None:
                self._idle = connection
            else:
                connection.close()

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
                connection = self._connect(deadline)
            # the statements of one message are one transaction
            rows = self._execute(connection, f"{self._settings}; {statement}", parameters, deadline)
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

    def write(self, statement: str, parameters: dict[str, Any], timeout: float) -> list[tuple[Any, ...]]:
        """The rows that a statement returns. What it writes is committed when this returns.

        ``timeout`` is the limit for all of it in seconds, including
        connecting. Raises StoreUnavailable and StoreTimeout, after which
        nothing is stored, and OutcomeUnknown where nobody confirmed the
        commit. An error in the statement itself rises as psycopg2's error.

        COMMIT goes to the server in a message of its own. So a server that
        stalls in the statement, or wakes up too late, stores nothing.
        """
        deadline = time.monotonic() + timeout
        connection, self._idle = self._idle, None
        if connection is not None and not _has_ended(connection):
            try:
                return self._write(connection, statement, parameters, deadline)
            except OutcomeUnknown:
                raise
            except StoreUnavailable:
                # nothing is stored; perhaps the connection broke while it was idle
                log.debug("writing over a new connection", exc_info=True)
        return self._write(self._connect(deadline), statement, parameters, deadline)

    def _write(
        self, connection: Connection, statement: str, parameters: dict[str, Any], deadline: float
    ) -> list[tuple[Any, ...]]:
        try:
            rows = self._execute(connection, f"{_begin(deadline)}; {statement}", parameters, deadline)
        except psycopg2.Error as error:
            raise self._roll_back(connection, error, deadline) from error
        del connection.notices[:]
        try:
            self._execute(connection, "COMMIT", None, deadline)
        except (psycopg2.Error, StoreTimeout) as error:
            connection.close()
            if isinstance(error, psycopg2.Error) and is_outcome_known(error):
                raise translate_psycopg2_error(error, self._conninfo) from error
            raise OutcomeUnknown(f"{database_label(self._conninfo)} did not confirm a commit: {error}") from error
        if connection.notices:
            # such as: a standby that must confirm commits did not
            connection.close()
            raise OutcomeUnknown(f"{database_label(self._conninfo)} committed with a warning: {connection.notices[0]}")
        self._idle = connection
        return rows

    def _roll_back(self, connection: Connection, error: psycopg2.Error, deadline: float) -> Exception:
        """What an error before the commit means. Keeps the connection where it still works."""
        translated = translate_psycopg2_error(error, self._conninfo)
        try:
            if translated is error or isinstance(translated, StoreTimeout):
                self._execute(connection, "ROLLBACK", None, deadline)
                self._idle = connection
                return translated
        except (psycopg2.Error, StoreTimeout):
            log.debug("a connection was lost while it rolled back", exc_info=True)
        connection.close()
        return translated

    def close(self) -> None:
        """Closes the connection."""
        if self._idle is not None:
            self._idle.close()

    def _connect(self, deadline: float) -> Connection:
        if time.monotonic() < self._retry_at:
            raise StoreUnavailable(f"{database_label(self._conninfo)} is not available: it accepted no connection")
        *others, last = self._hosts
        for host in others:
            try:
                return self._connect_to(host, deadline)
            except StoreUnavailable:
                log.debug("trying the next host of the database", exc_info=True)
        try:
            return self._connect_to(last, deadline)
        except _SilentHostError:
            self._retry_at = time.monotonic() + self._retry_pause
            raise

    def _connect_to(self, host: str, deadline: float) -> Connection:
        connection_deadline = min(time.monotonic() + self._connect_timeout, deadline)
        try:
            connection = psycopg2.connect(host, async_=True)
            self._wait(connection, connection_deadline)
        except StoreTimeout as error:
            label = database_label(self._conninfo)
            raise _SilentHostError(f"{label} is not available: it accepts no connection") from error
        except psycopg2.Error as error:
            raise translate_psycopg2_error(error, self._conninfo) from error
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


def _begin(deadline: float) -> str:
    """The SQL that begins a transaction whose statements end before ``deadline``, a moment of time.monotonic()."""
    left = deadline - time.monotonic()
    # the server gives up before its client, so that it does not go on after the response
    limit = max(left - CLIENT_MARGIN_SECONDS, left / 2, 0.001)
    return f"BEGIN; {transaction_settings(limit)}; {DURABLE_COMMIT}"


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
