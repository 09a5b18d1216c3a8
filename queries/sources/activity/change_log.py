"""Which days of events were updated or deleted: the table event_changes, which triggers of the database fill.

A row appears when the transaction that changed the events commits, and a
lower transaction id can appear after a higher one. So a reader keeps the
lowest transaction that was still running when it read, and reads the rows
from that one on again.
"""

from dataclasses import dataclass, field

from queries.db.arrow_pool import ArrowPool

ALL_DAYS = -(2**31)
"""Stands for every day in the table: a region or a job type was changed."""

HAS_CHANGE_LOG = """
    CASE WHEN to_regclass('event_changes') IS NOT NULL THEN has_table_privilege('event_changes', 'SELECT') END"""
"""An SQL expression: whether there is a log of changes that the role may read. NULL where there is none."""
LOG_IS_WRITTEN = """
    EXISTS (SELECT FROM pg_trigger
        WHERE tgrelid = 'events'::regclass AND tgname = 'note_event_change' AND tgenabled IN ('A', 'O'))"""
"""An SQL expression: whether the database notes changes at present."""
LOG_SUMMARY = "(SELECT concat(count(*), '-', sum(made_by), '-', sum(day)) FROM event_changes)"
"""An SQL expression that is equal for two moments only where no change was committed between them."""
_READ = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8 AS running,
        made_by, day FROM (SELECT 0) always LEFT JOIN event_changes ON made_by >= {from_id:d}"""


@dataclass(frozen=True)
class ChangePosition:
    """What a reader of the log knows: all rows that transactions below ``running`` made, and the rows ``known``."""

    running: int
    known: frozenset[tuple[int, int]] = field(default_factory=frozenset)


def read_changed_days(pool: ArrowPool, position: ChangePosition | None) -> tuple[set[int], ChangePosition]:
    """The days (since 1970) that were changed after a position, or none for None; and the position now.

    ALL_DAYS may be among them. Raises StoreUnavailable and StoreTimeout.
    """
    table = pool.read(_READ.format(from_id=2**62 if position is None else position.running))
    running = table["running"].to_pylist()[0]
    pairs = zip(table["made_by"].to_pylist(), table["day"].to_pylist(), strict=True)
    rows = {(made_by, day) for made_by, day in pairs if made_by is not None}
    new = rows - position.known if position is not None else set()
    # rows of transactions below the present ``running`` are not read again
    return {day for _, day in new}, ChangePosition(running, frozenset(row for row in rows if row[0] >= running))
