"""A pool of connections with an upper limit, for any driver of PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from queries.db.driver_errors import is_connection_limit
from queries.errors import StoreTimeout

RETRY_SECONDS = 0.1
"""How often a pool tries to open a connection that the server had no slot for."""


class ConnectionPool:
    """At most ``size`` connections, which ``open_connection`` opens when they are needed. Threads may share a pool.

    A connection must come back without an open transaction, or invalidated
    where its state is unknown. ``label`` names the database in errors.
    """

    def __init__(self, open_connection: Callable[[], Any], *, size: int, timeout: float, label: str) -> None:
        self._timeout = timeout
        self._label = label
        self._returned = Condition()
        self._is_closed = False
        self._pool = QueuePool(
            open_connection,
            pool_size=size,
            max_overflow=0,
            timeout=timeout,
            # the users of the pool end their transactions themselves
            reset_on_return=None,
            # what is not needed under a light load stays idle, so that the server or a pooler may close it
            use_lifo=True,
        )

    @contextmanager
    def connection(self) -> Iterator[PoolProxiedConnection]:
        """A connection until the end of the ``with`` statement.

        Where the server has no slot for a new one, waits for one of the pool.
        Raises StoreTimeout where none becomes free, and what
        ``open_connection`` raises.
        """
        connection = self._take()
        try:
            yield connection
        finally:
            connection.close()
            if self._is_closed:
                self._pool.dispose()
            with self._returned:
                self._returned.notify()

    def close(self) -> None:
        """Closes the idle connections. The others close when they come back."""
        self._is_closed = True
        self._pool.dispose()

    def _take(self) -> PoolProxiedConnection:
        deadline = time.monotonic() + self._timeout
        waited = False
        while True:
            try:
                return self._pool.connect()
            except PoolTimeout as error:
                raise StoreTimeout(f"no connection to {self._label} became free in {self._timeout:g} s") from error
            except Exception as error:
                # the slot of a connection that was just closed becomes free a moment later
                may_wait = self._pool.checkedout() > 0 or not waited
                if not (is_connection_limit(error) and may_wait and time.monotonic() < deadline):
                    raise
            waited = True
            with self._returned:
                self._returned.wait(RETRY_SECONDS)


class Lease:
    """The connection that a call uses on another thread, as long as it does.

    A server may be gone without a word, behind a proxy that stays. Then a
    call over a connection to it never ends. ``end`` does to the connection of
    such a call what its driver allows.
    """

    def __init__(self, end: Callable[[PoolProxiedConnection], None]) -> None:
        self._end = end
        self._connection: PoolProxiedConnection | None = None
        self._is_given_up = False
        self._lock = Lock()

    @contextmanager
    def uses(self, connection: PoolProxiedConnection) -> Iterator[None]:
        """The call uses this connection until the end of the ``with`` statement. Raises StoreTimeout if given up."""
        with self._lock:
            if self._is_given_up:
                raise StoreTimeout("nobody waits for this call any more")
            self._connection = connection
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def give_up(self) -> None:
        """Ends the connection, and lets the call use no other one."""
        with self._lock:
            self._is_given_up = True
            if self._connection is not None:
                self._end(self._connection)
                self._connection = None


def was_used(connection: PoolProxiedConnection) -> bool:
    """Whether a connection of a pool was used before. Notes that it is used now.

    A restart of the database breaks pooled connections, which shows only when
    they are used.
    """
    used = bool(connection.info.get("used"))
    connection.info["used"] = True
    return used
