"""Brings the lake up to date with its database.

New events are added in steps, in the order of their ids. Each step is a commit
that moves the watermark, so a reader is right at any time, and a sync that is
killed loses one step at most.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum

import polars as pl

from leaderboard.lake.chunks import (
    BEFORE_FIRST_ID,
    IdRange,
    Progress,
    event_days,
    plan_chunks,
    read_chunks,
    read_steps,
)
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.pace import FULL_SPEED, Pace
from leaderboard.lake.settle import MAX_SETTLE_SECONDS, SettledPoint, wait_until_settled
from leaderboard.lake.table import LakeTable, SyncPosition
from leaderboard.lake.upgrade import upgrade
from leaderboard.lake.verify import compare_days
from queries import DatabaseState, LakeSnapshot, PostgresEvents, StoreUnavailable, hash64
from queries.times import EPOCH, MIN_TIME

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
class SyncOptions:
    """How a sync works.

    With ``adopt``, the database takes over a lake of another one, which is
    refused otherwise. ``before_commit`` may raise an error to prevent a
    commit, such as the ``check`` of the exclusive lock.
    """

    rewrite: Rewrite = Rewrite.IF_CHANGED
    adopt: bool = False
    pace: Pace = FULL_SPEED
    before_commit: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class _Plan:
    """Rewrite ``days`` with their events up to ``after_id``, and add the events with after_id < id ≤ max_id."""

    days: list[date]
    after_id: int
    max_id: int


def sync(postgres: PostgresEvents, url: str, progress: Progress, options: SyncOptions | None = None) -> SyncResult:
    """Adds every settled event that the lake at ``url`` lacks and rewrites days.

    The rewritten days are one commit, and each step of new events is another.
    Before these, a commit of its own upgrades a lake of an older release.

    Raises LakeConflict if another sync committed first or events were pruned
    meanwhile; LakeError; ReadOnlyDatabase for a standby; StoreUnavailable and
    StoreTimeout.
    """
    options = options or SyncOptions()
    if not postgres.ids_are_sequential():
        raise LakeError("sessions draw the ids of events ahead, so no id is known to be settled; "
                        "run ALTER SEQUENCE events_id_seq CACHE 1")  # fmt: skip
    # the reads below may miss a change that is made after this; the next sync sees it in the next state
    state = postgres.state()
    settled = wait_until_settled(postgres)
    lake = LakeTable(url)
    snapshot = lake.snapshot()
    if snapshot is not None and snapshot.database != hash64(state.database) and not options.adopt:
        raise LakeError(f"the lake in {url} was made of another database; set LAKE_URL to another place, "
                        "or take it over with leaderboard lake adopt")  # fmt: skip
    upgraded_files = 0
    if snapshot is not None and snapshot.older_files:
        upgraded_files = upgrade(lake, progress, options.before_commit)
        snapshot = lake.snapshot()
    if settled is None:
        raise LakeError(
            f"a transaction that writes events has been open for more than {MAX_SETTLE_SECONDS:g} s; try again later"
        )

    if snapshot is None:
        plan = _Plan([], BEFORE_FIRST_ID, settled.id)
    elif options.adopt or options.rewrite is not Rewrite.IF_CHANGED or snapshot.changes != hash64(state.changes):
        plan = _plan_rewrite(postgres, snapshot, state, settled, options, progress)
    elif settled.id > snapshot.watermark or settled.as_of - snapshot.as_of >= MAX_AS_OF_AGE:
        plan = _Plan([], snapshot.watermark, max(snapshot.watermark, settled.id))
    else:
        return SyncResult(0, [], snapshot.watermark, snapshot.as_of, upgraded_files)
    events = _Writer(postgres, lake, state, options, progress).write(plan, snapshot, settled)
    return SyncResult(events, plan.days, plan.max_id, settled.as_of, upgraded_files)


def _plan_rewrite(
    postgres: PostgresEvents,
    snapshot: LakeSnapshot,
    state: DatabaseState,
    settled: SettledPoint,
    options: SyncOptions,
    progress: Progress,
) -> _Plan:
    # a TRUNCATE … RESTART IDENTITY may have moved the ids back
    after_id = min(snapshot.watermark, settled.id)
    # only the lake has the days before, so they stay as they are
    since = state.pruned or MIN_TIME
    if options.rewrite is Rewrite.ALL:
        all_days = {*snapshot.days(), *event_days(postgres, max_id=after_id)}
        days = sorted(day for day in all_days if day >= since.date())
    else:
        compared = compare_days(postgres, snapshot, since, after_id, progress, pace=options.pace)
        days = compared.filter(~pl.col("same"))["day"].to_list()
    return _Plan(days, after_id, settled.id)


@dataclass(frozen=True)
class _Writer:
    """Writes what a plan says. ``state`` is the database's from before the plan was made."""

    postgres: PostgresEvents
    lake: LakeTable
    state: DatabaseState
    options: SyncOptions
    progress: Progress

    def write(self, plan: _Plan, snapshot: LakeSnapshot | None, settled: SettledPoint) -> int:
        """Writes the plan and returns the number of events that it wrote. ``snapshot`` is the lake's from before."""
        state = self.state
        reached = SyncPosition(
            watermark=plan.max_id,
            as_of=settled.as_of,
            database=hash64(state.database),
            changes=hash64(state.changes),
            target=plan.max_id,
            # a new lake lacks all that was pruned
            complete_since=(state.pruned or MIN_TIME) if snapshot is None else snapshot.complete_since_in(state),
            pruned_id=state.pruned_id or 0,
        )
        # what is committed later may have an id that a step in between has not reached
        on_the_way = replace(reached, as_of=EPOCH if snapshot is None else snapshot.as_of)
        has_new = plan.max_id > plan.after_id
        events = 0
        if plan.days or not has_new:
            events += self._rewrite(plan, replace(on_the_way, watermark=plan.after_id) if has_new else reached)
        if has_new:
            events += self._add(plan, on_the_way, reached)
        return events

    def _rewrite(self, plan: _Plan, position: SyncPosition) -> int:
        ids = IdRange(BEFORE_FIRST_ID, plan.after_id)
        chunks = plan_chunks(self.postgres, ids, days=plan.days) if plan.days else []
        frames = read_chunks(self.postgres, chunks, ids, self.progress, "rewriting", self.options.pace)
        change = self.lake.stage(frames, replace_days=plan.days)
        self._check_database()
        self.lake.commit(change, position)
        return change.events

    def _add(self, plan: _Plan, on_the_way: SyncPosition, reached: SyncPosition) -> int:
        ids, steps, events = IdRange(plan.after_id, plan.max_id), 0, 0
        for step in read_steps(self.postgres, ids, self.progress, "adding", self.options.pace):
            position = reached if step.max_id == plan.max_id else replace(on_the_way, watermark=step.max_id)
            change = self.lake.stage([step.events])
            self._check_database()
            self.lake.commit(change, position)
            self.lake.tidy()
            steps += 1
            events += change.events
        if steps > 1:
            self.lake.compact()
        return events

    def _check_database(self) -> None:
        """Raises an error if the events that were read before this may lack some."""
        now = self.postgres.state()
        if now.pruned != self.state.pruned:
            raise LakeConflict("events were pruned meanwhile; try again")
        if now.timeline != self.state.timeline:
            raise StoreUnavailable("another server took over while its events were read; try again")
        self.options.before_commit()
