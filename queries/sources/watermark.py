"""How to know that no event is missing, although ids are drawn before they are committed.

An id is drawn from a sequence, and its row appears when its transaction
commits, so a lower id can appear after a higher one. A transaction that
inserts holds a lock on the table from before it draws an id until it ends.
Hence the rule: take the highest id, then the transactions that hold the lock.
Once all of these have ended, no id up to the highest one can appear any more.

A standby does not show the locks of its primary's transactions, so no id is
known to be settled there.

The rule needs a sequence that gives each session one id at a time (CACHE 1,
which is the default of a serial).
"""

from dataclasses import dataclass
from datetime import datetime

from queries.db.direct_connection import DirectConnection
from queries.errors import ReadOnlyDatabase, StoreUnavailable
from queries.times import from_micros

_HOLDS_WRITE_LOCK = """
    locktype = 'relation' AND relation = 'events'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
# a server that has left recovery shows the locks of all its writers, so that is asked first
_WRITER_SNAPSHOT = f"""
    SELECT pg_is_in_recovery(), coalesce((SELECT max(id) FROM events), 0),
        coalesce((SELECT string_agg(virtualtransaction, ' ') FROM pg_locks WHERE {_HOLDS_WRITE_LOCK}), ''),
        {{origin}}, pg_relation_filenode('events')"""  # noqa: S608
_OLDEST_WRITER = f"""
    SELECT pg_is_in_recovery(), floor(extract(epoch FROM least(now(), min(a.xact_start))) * 1000000)::int8,
        coalesce(bool_and(a.xact_start IS NOT NULL), true)
    FROM (SELECT pid FROM pg_locks WHERE {_HOLDS_WRITE_LOCK}) w LEFT JOIN pg_stat_activity a ON a.pid = w.pid"""  # noqa: S608


@dataclass(frozen=True)
class WriterSnapshot:
    """The highest id of the table, and the transactions that were writing just after it was read.

    ``writers`` are virtual transaction ids. ``storage`` names the server, its
    timeline, the database and the file of the table. It changes when the
    table is emptied or rewritten as a whole, when the database is created
    again or restored, and when another server takes over.
    """

    max_id: int
    writers: frozenset[str]
    storage: str

    @property
    def origin(self) -> str:
        """The part of ``storage`` without the file of the table."""
        return self.storage.rpartition(".")[0]


@dataclass(frozen=True)
class Watermark:
    """Every event with an id up to ``id`` that will ever exist has been committed. -1 means that none is known yet.

    ``awaited`` is the snapshot whose writers must end before the watermark can advance.
    """

    id: int = -1
    awaited: WriterSnapshot | None = None

    def advance(self, snapshot: WriterSnapshot) -> "Watermark":
        """The watermark after this snapshot. It holds for rows that are read after the snapshot."""
        if not snapshot.writers:
            return Watermark(max(self.id, snapshot.max_id))
        if self.awaited is None:
            return Watermark(self.id, snapshot)
        if self.awaited.writers & snapshot.writers:
            return self
        return Watermark(max(self.id, self.awaited.max_id), snapshot)


def read_writer_snapshot(connection: DirectConnection, origin: str) -> WriterSnapshot:
    """Reads the highest id and the current writers.

    ``origin`` is the SQL expression of StateReader.origin. Raises ReadOnlyDatabase for a standby, and
    StoreUnavailable and StoreTimeout.
    """
    statement = _WRITER_SNAPSHOT.format(origin=origin)
    try:
        rows = connection.run(statement)
    except StoreUnavailable:
        # the server may have ended an idle connection; reading twice does no harm
        rows = connection.run(statement)
    ((is_standby, max_id, writers, found, file),) = rows
    _refuse_standby(is_standby)
    return WriterSnapshot(max_id, frozenset(writers.split()), f"{found}.{file}")


def oldest_writer_start(connection: DirectConnection) -> datetime | None:
    """When the oldest transaction that writes events began, by the database's clock; now where there is none.

    Every writer that began earlier has ended. None where the role may not see
    when other roles' transactions began. Raises ReadOnlyDatabase for a
    standby, and StoreUnavailable and StoreTimeout.
    """
    ((is_standby, micros, known),) = connection.run(_OLDEST_WRITER)
    _refuse_standby(is_standby)
    return from_micros(micros) if known else None


def _refuse_standby(is_standby: bool) -> None:
    if is_standby:
        raise ReadOnlyDatabase("the database is a standby, where no id is known to be settled; use its primary")
