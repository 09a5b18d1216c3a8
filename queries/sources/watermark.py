"""How to know that no event is missing, where ids are handed out before they are committed.

An id is drawn from a sequence, and its row appears when its transaction
commits, so a lower id can appear after a higher one. Whoever inserts holds a
lock on the table from before it draws an id until its end, so this holds: take
the highest id, then the transactions with that lock. Once all of these have
ended, no id up to the highest one can appear any more.

It leans on a sequence that hands out ids in turn (CACHE 1, as a serial has it).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from queries.db.direct_connection import DirectConnection
from queries.errors import StoreUnavailable

# whoever inserts takes this lock before drawing an id and keeps it until all of it is committed
_WRITING = """
    locktype = 'relation' AND relation = 'events'::regclass AND mode = 'RowExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_LOOK = f"""
    SELECT coalesce((SELECT max(id) FROM events), 0),
        coalesce((SELECT string_agg(virtualtransaction, ' ') FROM pg_locks WHERE {_WRITING}), ''),
        concat((SELECT oid FROM pg_database WHERE datname = current_database()), '.', pg_relation_filenode('events'))"""  # noqa: S608
_BEGAN = f"""
    SELECT least(now(), min(a.xact_start)), coalesce(bool_and(a.xact_start IS NOT NULL), true)
    FROM (SELECT pid FROM pg_locks WHERE {_WRITING}) w LEFT JOIN pg_stat_activity a ON a.pid = w.pid"""  # noqa: S608


@dataclass(frozen=True)
class WriterSnapshot:
    """One look at the table: the highest id, and then who was writing.

    ``writers`` are virtual transaction ids. ``storage`` is another one once
    the table has been emptied or rewritten as a whole, or the database made anew.
    """

    newest: int
    writers: frozenset[str]
    storage: str


@dataclass(frozen=True)
class Watermark:
    """Every event with an id up to ``id`` that will ever exist has been committed; -1 where nothing is known yet.

    ``awaited`` is the look whose writers have to end before it can be raised.
    """

    id: int = -1
    awaited: WriterSnapshot | None = None

    def advance(self, snapshot: WriterSnapshot) -> "Watermark":
        """What is settled by this look, for rows that are read after it."""
        if not snapshot.writers:
            return Watermark(max(self.id, snapshot.newest))
        if self.awaited is None:
            return Watermark(self.id, snapshot)
        if self.awaited.writers & snapshot.writers:
            return self
        return Watermark(max(self.id, self.awaited.newest), snapshot)


def read_writer_snapshot(connection: DirectConnection) -> WriterSnapshot:
    """How far the events have come by now. Raises StoreUnavailable and StoreTimeout."""
    try:
        rows = connection.run(_LOOK)
    except StoreUnavailable:
        # it may have been ended while it was idle, and a look does no harm
        rows = connection.run(_LOOK)
    ((newest, writers, storage),) = rows
    return WriterSnapshot(newest, frozenset(writers.split()), storage)


def writers_began(connection: DirectConnection) -> datetime | None:
    """When the oldest transaction began that is writing events, by the database's clock; now where there is none.

    All that began before and wrote have ended by then. None where a role may
    not see when another one's began. Raises StoreUnavailable and StoreTimeout.
    """
    ((moment, known),) = connection.run(_BEGAN)
    return moment.astimezone(UTC) if known else None
