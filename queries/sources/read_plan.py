"""Which tier, database or lake, to read each part of a window from.

An event's id says which tier has it: the lake holds every event up to its
watermark, whatever the event's time. The database may have deleted ("pruned")
events before a moment, and then only the lake has these.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from queries.errors import StoreUnavailable
from queries.sources.database_state import DatabaseState
from queries.sources.lake_snapshot import LakeSnapshot, hash64
from queries.times import MICROSECOND


@dataclass(frozen=True)
class LakePart:
    """The lake's events with since ≤ event_time ≤ until."""

    snapshot: LakeSnapshot
    since: datetime
    until: datetime


@dataclass(frozen=True)
class DatabasePart:
    """The database's events with since ≤ event_time ≤ until and, with ``after_id``, a higher id."""

    since: datetime
    until: datetime
    after_id: int | None = None


ReadPlan = list[LakePart | DatabasePart]
"""Parts that have no event in common, at least one."""


def plan_read(
    since: datetime,
    until: datetime,
    state: DatabaseState,
    snapshot: LakeSnapshot | None,
    *,
    prefer_database: bool = False,
) -> ReadPlan:
    """The parts that together have every event with since ≤ event_time ≤ until.

    Reads from the lake as much as it has, unless ``prefer_database``. Where
    stored events were changed since the last sync (the counters differ), the
    database is right, so the lake serves only what the database has pruned.

    Raises StoreUnavailable where pruned events are needed and there is no lake
    that has them.
    """
    # the database still has every event from this moment on
    whole_since = since if state.pruned is None else max(since, state.pruned)
    if snapshot is not None and since < (complete_since := snapshot.complete_since_in(state)):
        if since < whole_since:
            replace(snapshot, complete_since=complete_since).require_complete(since)
        # somebody gave up what was pruned
        snapshot = None
    parts: ReadPlan = []
    lake_until: datetime | None = until
    if prefer_database or snapshot is None or snapshot.changes != hash64(state.changes):
        parts = [DatabasePart(whole_since, until)] if whole_since <= until else []
        lake_until = min(until, whole_since - MICROSECOND) if whole_since > since else None
    if lake_until is not None and since <= lake_until:
        if snapshot is None:
            raise StoreUnavailable(f"only the lake has events before {state.pruned}, and it is not available")
        # an import may be older than pruned and newer than the lake
        parts += [LakePart(snapshot, since, lake_until), DatabasePart(since, lake_until, snapshot.watermark)]
    return parts or [DatabasePart(since, until)]
