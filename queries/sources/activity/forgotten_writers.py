"""Transactions that wrote events and were forgotten: until they end, no later id is settled."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from queries.db.arrow_pool import ArrowPool

log = logging.getLogger(__name__)

WARNING_SECONDS = 60
"""How often the log names them."""
FORGOTTEN_AFTER_SECONDS = 60
"""A transaction that wrote events and is still open after so long is reported."""

# a prepared transaction has no process; its own id, which it holds a lock on, leads to its name
_FORGOTTEN = """
    SELECT DISTINCT w.pid, a.application_name::text AS application, a.usename::text AS role, a.state,
        p.gid, p.owner::text AS owner,
        extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 AS age
    FROM pg_locks w
    LEFT JOIN pg_stat_activity a ON a.pid = w.pid
    LEFT JOIN pg_locks x ON w.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
        AND x.virtualtransaction = w.virtualtransaction
    LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid AND p.database = current_database()
    WHERE w.locktype = 'relation' AND w.relation = 'events'::regclass AND w.mode = 'RowExclusiveLock' AND w.granted
        AND w.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND coalesce(a.xact_start, p.prepared) < clock_timestamp() - interval '{seconds:g} seconds'
    ORDER BY age DESC"""


class ForgottenWriter(NamedTuple):
    """An open transaction that wrote events ``age`` seconds ago or earlier.

    ``pid`` is None where it was prepared (PREPARE TRANSACTION); then ``gid``
    is its name. What the role may not see is None.
    """

    pid: int | None
    application: str | None
    role: str | None
    state: str | None
    gid: str | None
    owner: str | None
    age: float

    def __str__(self) -> str:
        if self.pid is None:
            who, remedy = f"the prepared transaction {self.gid!r} of {self.owner}", f"ROLLBACK PREPARED '{self.gid}'"
        else:
            name = f" ({self.application})" if self.application else ""
            who = f"the session {self.pid}{name} of {self.role}, {self.state or 'in an unknown state'},"
            remedy = f"SELECT pg_terminate_backend({self.pid})"
        return f"{who} wrote events and has been open for {self.age:.0f} s; end it, or run {remedy}"


class ForgottenWriterLog:
    """Logs the writers that ``read`` returns, every WARNING_SECONDS."""

    def __init__(self, read: Callable[[], list[ForgottenWriter]]) -> None:
        self._read = read
        self._next = 0.0

    def update(self) -> None:
        """Logs them if it is time. Raises StoreUnavailable and StoreTimeout."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + WARNING_SECONDS
            for writer in self._read():
                log.warning("%s", writer)


def read_forgotten_writers(pool: ArrowPool) -> list[ForgottenWriter]:
    """The transactions that wrote events and have been open for more than FORGOTTEN_AFTER_SECONDS, oldest first.

    Raises StoreUnavailable and StoreTimeout.
    """
    return [ForgottenWriter(**row) for row in pool.read(_FORGOTTEN.format(seconds=FORGOTTEN_AFTER_SECONDS)).to_pylist()]
