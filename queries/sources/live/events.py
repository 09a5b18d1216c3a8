"""All events of a database: its lake mapped into memory, and what is newer, brought up to date at each request."""

from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import polars as pl

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS
from queries.errors import StoreError, StoreTimeout, StoreUnavailable, first_line
from queries.sources.decoded import DecodedLake, TextCategories
from queries.sources.hybrid import HybridEvents
from queries.sources.lake_snapshot import LakeSnapshot, hash64
from queries.sources.live.day_reader import DayReader
from queries.sources.live.days import DAY_MICROS, DAYS_END
from queries.sources.live.event_window import EventPart, EventWindow
from queries.sources.live.lake_mapper import LakeMapper
from queries.sources.live.refresher import Refresher
from queries.sources.live.shared_state import SharedState
from queries.sources.live.state import LiveState
from queries.sources.parquet_files import collect
from queries.sources.text_encoding import decode_text
from queries.times import MIN_TIME, from_micros, to_micros


class MemoryUsage(NamedTuple):
    """What a process has at hand.

    ``events`` are in its own memory, and take about so many ``bytes``;
    ``mapped_events`` are in the lake's files, which all processes share.
    Together they are complete from ``since`` on, None where nothing is.
    """

    events: int
    bytes: int
    mapped_events: int
    since: datetime | None


class LiveEvents:
    """Events of a database and its lake. A window has every event that was committed before it was requested.

    With ``decoded``, the lake is mapped into memory, and a process's own
    memory has only what the lake lacks. What is in neither is read from the
    database when it is asked for, and kept up to ``memory_bytes``; the last
    ``warm_window`` is always kept, once ``start`` has loaded it. Every
    ``reload_interval`` seconds the warm window is compared with the database,
    because an administrator may have changed it in a way that the database
    does not tell of.

    Threads may share a LiveEvents. Every read raises StoreUnavailable and
    StoreTimeout as those of ``source`` do.
    """

    def __init__(
        self,
        source: HybridEvents,
        decoded: DecodedLake | None = None,
        *,
        warm_window: timedelta,
        memory_bytes: int,
        reload_interval: float,
    ) -> None:
        self._source = source
        self._decoded = decoded
        self._shared = SharedState(warm_window, memory_bytes)
        self._days = DayReader(source, self._shared)
        self._lake = LakeMapper(source, decoded)
        self._refresher = Refresher(source, self._shared, self._days, self._lake, reload_interval)

    def start(self) -> None:
        """Loads the warm window and keeps it up to date, on threads."""
        self._refresher.start()

    def close(self) -> None:
        """Ends the threads and closes the idle connections."""
        self._refresher.close()
        self._source.close()
        if self._decoded is not None:
            self._decoded.close()

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order."""
        return decode_text(self.at(since, until, timeout=self.timeout).load().lazy())

    @property
    def timeout(self) -> float:
        """The limit in seconds for a request that needs the database."""
        return self._source.timeout + CLIENT_MARGIN_SECONDS

    @property
    def memory(self) -> MemoryUsage | None:
        """What this process has at hand, or None before the first refresh."""
        if (state := self._shared.current) is None:
            return None
        mapped = 0 if state.base is None else int(state.base.snapshot.files["events"].sum())
        since = state.complete_since
        first = state.base.snapshot.files.select(pl.col("since").min()).item() if state.base is not None else None
        complete = (
            None if since >= DAYS_END * DAY_MICROS else first if since <= to_micros(MIN_TIME) else from_micros(since)
        )
        return MemoryUsage(state.event_count, state.bytes, mapped, complete)

    @property
    def is_overdue(self) -> bool:
        """Whether the database takes longer to answer than a request from memory waits."""
        return self._refresher.refresh.is_overdue

    def does_database_stall(self) -> bool:
        """Asks the database, and returns whether it has not answered within REFRESH_PATIENCE_SECONDS."""
        try:
            self._refresher.refresh()
        except StoreError as error:
            return isinstance(error, StoreTimeout)
        return False

    def at(self, since: datetime, until: datetime, *, timeout: float | None = None) -> EventWindow:
        """The events with since ≤ event_time ≤ until (aware datetimes) that are committed by now, and their version.

        On a standby, those that it has replayed by now. Waits for the
        database for REFRESH_PATIENCE_SECONDS, or for ``timeout`` seconds.
        """
        state, first, last = self._refresher.refresh(timeout), to_micros(since), to_micros(until)
        if state is None:
            # before the events are read
            as_of = self._source.replayed_until()
            read = partial(self._read, TextCategories(), since, until)
            return EventWindow(None, lambda: [EventPart(read())], as_of, partial(read, prefer_database=True))
        from_database = partial(self._read, state.categories, since, until, prefer_database=True)
        return EventWindow(state.version(first, last), partial(self._parts, state, first, last), None, from_database)

    def results(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> EventWindow:
        """The results of one orchestrator as HybridEvents.results returns them now, without a version."""
        as_of = self._source.replayed_until()
        # read at once, and query functions are quicker over a DataFrame
        results = collect(self._source.results(orchestrator, since, until, job_type, with_errors=with_errors))
        return EventWindow(None, lambda: [EventPart(results)], as_of)

    def window_during_outage(self, since: datetime, until: datetime) -> EventWindow:
        """The events of a window as of the last refresh, from memory and the lake, without the database.

        Raises StoreUnavailable where these do not have the whole window.
        """
        state, as_of, first, last = self._shared.current, self._refresher.as_of, to_micros(since), to_micros(until)
        if state is not None and as_of is not None and since <= as_of and not state.missing(first, last):
            return EventWindow(state.version(first, last), partial(self._parts, state, first, last), as_of)
        lake = self._require_lake(since)
        categories = TextCategories() if state is None else state.categories
        old = EventPart(categories.encode(lake.window(since, until)))
        if state is None or as_of is None or as_of < lake.as_of or not self._overlaps_lake(state, lake):
            return EventWindow(None, lambda: [old], lake.as_of)
        recent = [EventPart(events) for events in state.events_after(lake.watermark, first, last)]
        return EventWindow(None, lambda: [old, *recent], as_of)

    def results_during_outage(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> EventWindow:
        """The results of one orchestrator from the lake. Raises StoreUnavailable where it does not have them."""
        lake = self._require_lake(since)
        results = lake.results(orchestrator, since, until, job_type, with_errors=with_errors)
        return EventWindow(None, lambda: [EventPart(results)], lake.as_of)

    def _parts(self, state: LiveState, first: int, last: int) -> list[EventPart]:
        """The events of a window of a state, with those of missing days read from the database."""
        events = state.with_chunks(self._days.read(state, first, last)).window(first, last)
        parts = [EventPart(frame, None if state.base is None else state.base.batch_of(frame)) for frame in events]
        return [EventPart(state.categories.empty), *parts]

    def _read(
        self, categories: TextCategories, since: datetime, until: datetime, *, prefer_database: bool = False
    ) -> pl.LazyFrame:
        return categories.encode(self._source.window(since, until, prefer_database=prefer_database))

    def _require_lake(self, since: datetime) -> LakeSnapshot:
        try:
            lake = self._source.lake()
        except StoreError as error:
            raise StoreUnavailable(f"neither the database nor the lake is available: {first_line(error)}") from error
        if lake is None or since > lake.as_of:
            raise StoreUnavailable("the database is not available, and neither memory nor the lake has this window")
        return lake

    def _overlaps_lake(self, state: LiveState, lake: LakeSnapshot) -> bool:
        """Whether the recent events have every event that the lake lacks, of the same state of the table."""
        changes = self._refresher.changes
        return lake.watermark >= state.base_id and changes is not None and lake.changes == hash64(changes)
