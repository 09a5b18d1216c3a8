"""All events of a database: the lake has the settled past, the database has the rest.

The lake holds every event up to its watermark, so the two are complete
together however far the lake lags behind. The database stays the truth: where
its events were changed since the last sync, everything that it still has is
read from it. See read_plan.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta

import polars as pl

from queries.concurrency.outages import OutageLog
from queries.errors import StoreError, StoreUnavailable
from queries.scoring.exclusions import Exclusion
from queries.sources.activity.change_log import ChangePosition
from queries.sources.activity.forgotten_writers import ForgottenWriter
from queries.sources.database_state import DatabaseState
from queries.sources.lake import LakeEvents
from queries.sources.lake_snapshot import LakeSnapshot, hash64
from queries.sources.parquet_files import collect
from queries.sources.postgres import PostgresEvents
from queries.sources.read_plan import DatabasePart, LakePart, ReadPlan, plan_read
from queries.sources.watermark import WriterSnapshot
from queries.times import MAX_TIME, MICROSECOND, MIN_TIME

log = logging.getLogger(__name__)

MAX_ID = 2**62
"""Higher than every id."""
LONG_WINDOW = timedelta(days=7)
"""From here on, the results of one orchestrator are read from the lake, where its files are sorted by orchestrator."""


class HybridEvents:
    """Events of a database and of the lake that it is exported to, if there is one.

    Threads may share a HybridEvents. Every read raises StoreUnavailable where
    the database, or a lake that is needed, cannot be reached, and StoreTimeout
    where that takes too long.

    Without ``waits_for_lake``, a lake that does not answer within a moment is
    only read for events that the database does not have.
    """

    def __init__(
        self, postgres: PostgresEvents, lake: LakeEvents | None = None, *, waits_for_lake: bool = True
    ) -> None:
        self._postgres = postgres
        self._lake = lake
        self._waits_for_lake = waits_for_lake
        self._lake_outage = OutageLog("the lake", log)
        # the hash of the database's identity, once a read has seen it
        self._database: int | None = None
        self._warned_of_other_lake = False

    @property
    def timeout(self) -> float:
        """The limit for one read of the database in seconds."""
        return self._postgres.timeout

    def window(
        self,
        since: datetime,
        until: datetime,
        *,
        max_id: int | None = None,
        prefer_database: bool = False,
    ) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order.

        With ``max_id``, only events up to that id. With ``prefer_database``,
        only pruned events come from the lake. The database's rows are read
        when this is called, the lake's when the frame is collected.
        """

        def read_database(part: DatabasePart) -> pl.LazyFrame:
            return self._postgres.window(part.since, part.until, after_id=part.after_id, max_id=max_id)

        parts = self._read(since, until, read_database, prefer_database=prefer_database)
        return _concat(parts, lambda part: part.snapshot.window(part.since, part.until, max_id=max_id))

    def rows(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events of a window as ``window`` returns them, with ``payload``: the result as JSON, as String."""
        return _concat(
            self._read(since, until, self._read_with_payload),
            lambda part: part.snapshot.window(part.since, part.until, payload=True),
        )

    def plan(self) -> tuple[ReadPlan, datetime | None]:
        """The parts of all events, for the caller to read, and which of them are pruned (see DatabaseState)."""
        state = self.state()
        return self._plan(MIN_TIME, MAX_TIME, state), state.pruned

    def days_of(self, part: DatabasePart) -> list[date]:
        """The UTC days that have events of a part, in order."""
        if part.after_id is None:
            return self._postgres.days(part.since, part.until)
        hours = self._postgres.count_by_hour(part.since, part.until, after_id=part.after_id, max_id=MAX_ID)
        days: list[date] = hours["hour"].dt.date().unique().sort().to_list()
        return days

    def read_part(self, part: DatabasePart, pruned: datetime | None, *, payload: bool) -> pl.DataFrame:
        """The events of a part as ``window`` returns them, with ``payload`` as ``rows`` does.

        Also raises StoreUnavailable if events were pruned since ``plan`` returned ``pruned``.
        """
        events = self._postgres.window(part.since, part.until, after_id=part.after_id, payload=payload)
        if self._postgres.pruned() != pruned:
            raise StoreUnavailable("events were pruned from the database meanwhile; try again")
        return events.collect()

    def regions(self) -> pl.DataFrame:
        """The registered regions; see PostgresEvents.regions."""
        return self._postgres.regions()

    def exclusions(self) -> list[Exclusion]:
        """What is left out of scores; see PostgresEvents.exclusions."""
        return self._postgres.exclusions()

    def results(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type (None is any); see PostgresEvents.results."""

        def read_database(part: DatabasePart) -> pl.LazyFrame:
            return self._postgres.results(
                orchestrator, part.since, part.until, job_type, with_errors=with_errors, after_id=part.after_id
            )

        def scan_lake(part: LakePart) -> pl.LazyFrame:
            return part.snapshot.results(orchestrator, part.since, part.until, job_type, with_errors=with_errors)

        if until - since >= LONG_WINDOW:
            # a file may be missing or broken
            with suppress(StoreUnavailable):
                lake = self._available_lake()
                if lake is not None and lake.skips_others(orchestrator, since, until):
                    return collect(_concat(self._read(since, until, read_database), scan_lake)).lazy()
        # an index of the database finds a few sooner
        results = read_database(DatabasePart(since, until))
        pruned = self._postgres.pruned()
        if pruned is None or pruned <= since:
            return results
        return _concat(self._read(since, until, read_database, prefer_database=True), scan_lake)

    def days(self, since: datetime, until: datetime) -> list[date]:
        """The UTC days that have events with since ≤ event_time ≤ until (aware datetimes), in order."""
        days = set(self._postgres.days(since, until))
        pruned = self.state().pruned
        if pruned is not None and since < pruned:
            # only the lake knows of events that were pruned
            old = self.window(since, min(until, pruned - MICROSECOND))
            days |= set(collect(old.select(pl.col("event_time").dt.date().unique()))["event_time"])
        return sorted(days)

    def nth_before(self, moment: datetime, n: int) -> datetime | None:
        """The event_time of about the n-th event before a moment, counted back in time. None where there are fewer."""
        snapshot = self._available_lake()
        in_database = self._postgres.nth_before(moment, n)
        in_lake = snapshot.nth_before(moment, n) if snapshot is not None else None
        return max((found for found in (in_database, in_lake) if found is not None), default=None)

    def state(self) -> DatabaseState:
        """What has happened to the database besides inserted events."""
        state = self._postgres.state()
        self._database = hash64(state.database)
        return state

    def changes(self) -> str:
        """What differs after events were changed; see DatabaseState.changes."""
        return self.state().changes

    def changed_days(self, position: ChangePosition | None) -> tuple[set[int], ChangePosition]:
        """The days that were changed after a position in the database's log of changes; see read_changed_days."""
        return self._postgres.changed_days(position)

    def forgotten_writers(self) -> list[ForgottenWriter]:
        """The transactions that wrote events and have been open for too long, oldest first."""
        return self._postgres.forgotten_writers()

    def timeline(self) -> str:
        """What changes when another server takes over; see DatabaseState.timeline."""
        return self.state().timeline

    def events_after(self, after_id: int, gaps: Sequence[tuple[int, int]] = ()) -> pl.LazyFrame:
        """The database's events with an id above ``after_id``, or in a gap; see PostgresEvents.events_after."""
        return self._postgres.events_after(after_id, gaps)

    def read_writer_snapshot(self) -> WriterSnapshot:
        """The highest id and the current writers; see PostgresEvents. Only one thread may call this at a time."""
        return self._postgres.read_writer_snapshot()

    def oldest_writer_start(self) -> datetime | None:
        """When the oldest transaction that writes events began; see PostgresEvents. One thread at a time."""
        return self._postgres.oldest_writer_start()

    def replayed_until(self) -> datetime | None:
        """On a standby, a moment: it has every event whose commit was confirmed by then. None on a primary."""
        return self._postgres.replayed_until()

    def ids_are_sequential(self) -> bool:
        """Whether sessions draw one id at a time, which the watermark needs."""
        return self._postgres.ids_are_sequential()

    def lake(self) -> LakeSnapshot | None:
        """The newest version of the lake, or None where there is none.

        A lake of another database counts as none. Raises StoreUnavailable
        where the lake cannot be read and StoreTimeout where it takes too long.
        """
        return self._open_lake(waits=True)

    def open(self) -> None:
        """Opens the connection for the snapshots of writers; see PostgresEvents.open."""
        self._postgres.open()

    def close(self) -> None:
        """Closes the idle connections."""
        self._postgres.close()
        if self._lake is not None:
            self._lake.close()

    def _read(
        self,
        since: datetime,
        until: datetime,
        read_database: Callable[[DatabasePart], pl.LazyFrame],
        *,
        prefer_database: bool = False,
    ) -> list[LakePart | pl.LazyFrame]:
        """The parts of a window, with those of the database read and those of the lake as planned."""
        while True:
            state = self.state()
            plan = self._plan(since, until, state, prefer_database=prefer_database)
            parts = [read_database(part) if isinstance(part, DatabasePart) else part for part in plan]
            # events that were pruned while they were read would be missing
            if self.state().pruned == state.pruned:
                return parts

    def _plan(
        self, since: datetime, until: datetime, state: DatabaseState, *, prefer_database: bool = False
    ) -> ReadPlan:
        # nobody else has what was pruned, so this waits for the lake and raises its error
        is_pruned = state.pruned is not None and since < state.pruned
        lake = self.lake() if is_pruned else None if prefer_database else self._available_lake()
        return plan_read(since, until, state, lake, prefer_database=prefer_database)

    def _read_with_payload(self, part: DatabasePart) -> pl.LazyFrame:
        return self._postgres.window(part.since, part.until, after_id=part.after_id, payload=True)

    def _open_lake(self, *, waits: bool) -> LakeSnapshot | None:
        if self._lake is None:
            return None
        try:
            snapshot = self._lake.snapshot(waits=waits)
        except StoreError as error:
            self._lake_outage.failed(error)
            raise
        self._lake_outage.worked()
        if snapshot is None or self._database in (None, snapshot.database):
            return snapshot
        if not self._warned_of_other_lake:
            self._warned_of_other_lake = True
            log.error("the lake in %s belongs to another database and is not read", self._lake.url)
        return None

    def _available_lake(self) -> LakeSnapshot | None:
        """The lake, or None where it cannot be read: the database may have the events as well."""
        try:
            return self._open_lake(waits=self._waits_for_lake)
        except StoreError:
            return None


def _concat(parts: list[LakePart | pl.LazyFrame], scan_lake: Callable[[LakePart], pl.LazyFrame]) -> pl.LazyFrame:
    frames = [scan_lake(part) if isinstance(part, LakePart) else part for part in parts]
    return pl.concat(frames, rechunk=False)
