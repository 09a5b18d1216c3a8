"""Brings the lake up to date with its database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from itertools import chain

import polars as pl

from leaderboard.lake.chunks import BEFORE_FIRST_ID, IdRange, Progress, event_days, plan_chunks, read_chunks
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.settle import MAX_SETTLE_SECONDS, SettledPoint, wait_until_settled
from leaderboard.lake.table import LakeTable, SyncPosition
from leaderboard.lake.upgrade import upgrade
from leaderboard.lake.verify import compare_days
from queries import DatabaseState, LakeSnapshot, PostgresEvents, StoreUnavailable, hash64
from queries.times import MIN_TIME

MAX_AS_OF_AGE = timedelta(hours=1)
"""Commits without new events after this long, so that ``as_of`` advances."""


class Rewrite(Enum):
    """Which days of the lake a sync rewrites. Days that were pruned from the database are never rewritten."""

    IF_CHANGED = "the days that differ, if the database reports that events were changed or deleted"
    DIFFERENT = "the days that differ"
    ALL = "all days"


@dataclass(frozen=True)
class SyncResult:
    """What a sync did: the number of events it wrote, the days it rewrote, and how far the lake reaches now.

    ``upgraded_files`` is the number of files that it rewrote because an older release wrote them.
    """

    events: int
    rewritten_days: list[date]
    watermark: int
    as_of: datetime
    upgraded_files: int = 0


@dataclass(frozen=True)
class _Plan:
    """Rewrite ``days`` with their events up to ``after_id``, and add the events with after_id < id ≤ max_id."""

    days: list[date]
    after_id: int
    max_id: int


def sync(
    postgres: PostgresEvents,
    url: str,
    progress: Progress,
    rewrite: Rewrite = Rewrite.IF_CHANGED,
    *,
    adopt: bool = False,
    before_commit: Callable[[], None] = lambda: None,
) -> SyncResult:
    """Adds every settled event that the lake at ``url`` lacks and rewrites days, in one commit.

    Before that, a commit of its own upgrades a lake of an older release.

    A lake of another database is refused. With ``adopt``, this database takes
    it over. ``before_commit`` may raise an error to prevent the commit, such
    as the ``check`` of the exclusive lock.

    Raises LakeConflict if another sync committed first or events were pruned
    meanwhile; LakeError; ReadOnlyDatabase for a standby; StoreUnavailable and
    StoreTimeout.
    """
    if not postgres.ids_are_sequential():
        raise LakeError("sessions draw the ids of events ahead, so no id is known to be settled; "
                        "run ALTER SEQUENCE events_id_seq CACHE 1")  # fmt: skip
    # the reads below may miss a change that is made after this; the next sync sees it in the next state
    state = postgres.state()
    settled = wait_until_settled(postgres)
    lake = LakeTable(url)
    snapshot = lake.snapshot()
    if snapshot is not None and snapshot.database != hash64(state.database) and not adopt:
        raise LakeError(f"the lake in {url} was made of another database; set LAKE_URL to another place, "
                        "or take it over with leaderboard lake adopt")  # fmt: skip
    upgraded_files = 0
    if snapshot is not None and snapshot.older_files:
        upgraded_files = upgrade(lake, progress, before_commit)
        lake = LakeTable(url)
        snapshot = lake.snapshot()
    if settled is None:
        raise LakeError(
            f"a transaction that writes events has been open for more than {MAX_SETTLE_SECONDS:g} s; try again later"
        )

    if snapshot is None:
        plan = _Plan([], BEFORE_FIRST_ID, settled.id)
    elif adopt or rewrite is not Rewrite.IF_CHANGED or snapshot.changes != hash64(state.changes):
        plan = _plan_rewrite(postgres, snapshot, state, settled, rewrite, progress)
    elif settled.id > snapshot.watermark or settled.as_of - snapshot.as_of >= MAX_AS_OF_AGE:
        plan = _Plan([], snapshot.watermark, max(snapshot.watermark, settled.id))
    else:
        return SyncResult(0, [], snapshot.watermark, snapshot.as_of, upgraded_files)
    result = _write(postgres, lake, plan, state, settled, progress, before_commit)
    return replace(result, upgraded_files=upgraded_files)


def _plan_rewrite(
    postgres: PostgresEvents,
    snapshot: LakeSnapshot,
    state: DatabaseState,
    settled: SettledPoint,
    rewrite: Rewrite,
    progress: Progress,
) -> _Plan:
    # a TRUNCATE … RESTART IDENTITY may have moved the ids back
    after_id = min(snapshot.watermark, settled.id)
    # only the lake has the days before, so they stay as they are
    since = state.pruned or MIN_TIME
    if rewrite is Rewrite.ALL:
        all_days = {*snapshot.days(), *event_days(postgres, max_id=after_id)}
        days = sorted(day for day in all_days if day >= since.date())
    else:
        compared = compare_days(postgres, snapshot, since, after_id, progress)
        days = compared.filter(~pl.col("same"))["day"].to_list()
    return _Plan(days, after_id, settled.id)


def _write(
    postgres: PostgresEvents,
    lake: LakeTable,
    plan: _Plan,
    state: DatabaseState,
    settled: SettledPoint,
    progress: Progress,
    before_commit: Callable[[], None],
) -> SyncResult:
    change = lake.stage(_read(postgres, plan, progress), replace_days=plan.days)
    # if events were deleted while their days were read, the staged files may lack some of them
    now = postgres.state()
    if now.pruned != state.pruned:
        raise LakeConflict("events were pruned meanwhile; try again")
    if now.timeline != state.timeline:
        raise StoreUnavailable("another server took over while its events were read; try again")
    before_commit()
    lake.commit(change, SyncPosition(plan.max_id, settled.as_of, hash64(state.database), hash64(state.changes)))
    return SyncResult(change.events, plan.days, plan.max_id, settled.as_of)


def _read(postgres: PostgresEvents, plan: _Plan, progress: Progress) -> Iterator[pl.DataFrame]:
    """The events of the plan, first those of the rewritten days."""
    old_ids, new_ids = IdRange(BEFORE_FIRST_ID, plan.after_id), IdRange(plan.after_id, plan.max_id)
    old = plan_chunks(postgres, old_ids, days=plan.days) if plan.days else []
    new = plan_chunks(postgres, new_ids) if plan.max_id > plan.after_id else []
    return chain(
        read_chunks(postgres, old, old_ids, progress, "rewriting"),
        read_chunks(postgres, new, new_ids, progress, "adding"),
    )
