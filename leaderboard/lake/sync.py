"""Brings the lake up to date with its database."""

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum

import polars as pl

from leaderboard.lake import verify
from leaderboard.lake.table import LakeConflict, LakeError, LakeTable, Reached
from leaderboard.lake.verify import LOWEST, Progress
from queries import HybridEvents, PostgresEvents, Watermark, hash64
from queries.times import MIN_TIME

PATIENCE = 30.0
"""Seconds for which transactions that are under way are waited for."""
PAUSE = 0.05
STALE = timedelta(hours=1)
"""Of nothing new, the lake tells every so often that there is nothing."""


class Days(Enum):
    """Which days of the lake a sync writes anew, of those that the database still has."""

    CHANGED = "those that differ, where the database tells that something was changed or deleted"
    DIFFERENT = "those that differ"
    ALL = "all"


@dataclass(frozen=True)
class Synced:
    """What a sync has done: the events it added, the days it wrote anew, and how far the lake reaches now."""

    events: int
    days: list[date]
    watermark: int
    as_of: datetime


def sync(
    postgres: PostgresEvents, url: str, progress: Progress, days: Days = Days.CHANGED, *, adopt: bool = False
) -> Synced:
    """Adds every settled event that the lake does not have, in one commit.

    With it the ``days`` that are asked for are written anew. A lake of another
    database is refused, unless this one is to ``adopt`` it, since it was made
    from what that one had. Raises LakeConflict where another sync was first,
    LakeError, and as PostgresEvents does.
    """
    if not postgres.ids_are_sequential():
        raise LakeError("the ids of events are drawn ahead, so it cannot be told which are settled; "
                        "ALTER SEQUENCE events_id_seq CACHE 1")  # fmt: skip
    # what is changed after this may be missed by what is read, and is told by the next state
    state = postgres.state()
    settled, as_of = settle(postgres)
    lake = LakeTable(url)
    before = lake.snapshot()
    if before is not None and before.database != hash64(state.database) and not adopt:
        raise LakeError(f"the lake in {url} was made of another database; set LAKE_URL to another place, "
                        "or take it over with leaderboard lake adopt")  # fmt: skip
    if settled < 0:
        raise LakeError(f"a transaction that writes events has been open for {PATIENCE:g} s and more; try again later")
    anew: list[date] = []
    after_id = LOWEST
    if before is not None:
        after_id = before.watermark
        changed = adopt or days is not Days.CHANGED or before.changes != hash64(state.changes)
        if changed:
            # ids may have been taken back, with all that had them
            after_id = min(after_id, settled)
            since = state.pruned or MIN_TIME
            if days is Days.ALL:
                known = {*before.days(), *verify.days(postgres, max_id=after_id)}
                anew = sorted(day for day in known if day >= since.date())
            else:
                found = verify.compared(postgres, before, since, after_id, progress)
                anew = found.filter(~pl.col("same"))["day"].to_list()
        settled = max(settled, after_id)
        if settled == after_id and not changed and as_of - before.as_of < STALE:
            return Synced(0, [], after_id, before.as_of)
    old = verify.spans(postgres, after_id=LOWEST, max_id=after_id, of=anew) if anew else []
    new = verify.spans(postgres, after_id=after_id, max_id=settled) if settled > after_id else []
    frames = itertools.chain(
        verify.frames(postgres, old, progress, "writing anew", after_id=LOWEST, max_id=after_id),
        verify.frames(postgres, new, progress, "adding", after_id=after_id, max_id=settled),
    )
    reached = Reached(settled, as_of, hash64(state.database), hash64(state.changes))

    def unpruned() -> None:
        # of days whose events were deleted meanwhile, too few may have been read
        if postgres.state().pruned != state.pruned:
            raise LakeConflict("events were pruned meanwhile; try again")

    events = lake.write(frames, reached, instead=anew, check=unpruned)
    return Synced(events, anew, settled, as_of)


def settle(postgres: PostgresEvents | HybridEvents) -> tuple[int, datetime]:
    """The highest id for which every event up to it has been committed, and a moment by which all before had been.

    -1 where that cannot be told within PATIENCE.
    """
    settled, as_of, awaited_since = Watermark(), datetime.now(UTC), datetime.now(UTC)
    goal, end = None, time.monotonic() + PATIENCE
    while goal is None or (settled.id < goal and time.monotonic() < end):
        if goal is not None:
            time.sleep(PAUSE)
        now = datetime.now(UTC)
        look = postgres.read_writer_snapshot()
        goal = look.max_id if goal is None else goal
        before, settled = settled, settled.advance(look)
        if settled.id > before.id:
            as_of = awaited_since if look.writers else now
        if settled.awaited is not before.awaited:
            awaited_since = now
    return settled.id, as_of
