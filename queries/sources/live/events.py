"""All events of a database: its lake mapped into memory, and what is newer, brought up to date at each request."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS
from queries.engines import SMALL_FRAME_ROWS
from queries.errors import StoreError, StoreTimeout, StoreUnavailable, first_line
from queries.scoring.exclusions import Exclusion, leave_out
from queries.sources.decoded import DecodedLake, TextCategories
from queries.sources.hybrid import HybridEvents
from queries.sources.lake_snapshot import LakeSnapshot, hash64
from queries.sources.live.day_reader import DayReader
from queries.sources.live.days import DAY_MICROS, DAYS_END
from queries.sources.live.lake_mapper import LakeMapper
from queries.sources.live.refresher import Refresher
from queries.sources.live.shared_state import SharedState
from queries.sources.live.state import LiveState
from queries.sources.parquet_files import collect
from queries.sources.text_encoding import decode_text
from queries.times import MIN_TIME, from_micros, to_micros

log = logging.getLogger(__name__)

MAX_SMALL_CHUNKS = 8
"""A small frame in more chunks than this is copied into one."""

Load = Callable[[], pl.DataFrame | pl.LazyFrame]


@dataclass(frozen=True)
class EventWindow:
    """The events of a window, which ``load`` reads. Their text is Categorical.

    ``load`` returns a DataFrame where all events are in memory, for which query
    functions keep their plans.
    ``version`` is equal for two windows of one database only where they have
    the same events; None where that is unknown. ``as_of`` is None unless the
    database is unavailable or a standby: then the window has every event that
    was committed by that moment.
    """

    version: str | None
    load: Load
    as_of: datetime | None = None
    load_from_database: Load | None = None
    """Reads what the database has from there, where a file of the lake is missing or broken. None if it has nothing."""
    exclusions: tuple[Exclusion, ...] = ()
    """Those that were left out of the events."""

    def leave_out(self, exclusions: Iterable[Exclusion], since: datetime, until: datetime) -> "EventWindow":
        """This window from ``since`` to ``until`` without the events that the exclusions cover.

        Its version says which of them overlap the window.
        """
        left_out = tuple(exclusion for exclusion in exclusions if exclusion.overlaps(since, until))
        if not left_out:
            return self

        def without(load: Load) -> Load:
            # a copy of what remains of many events would take too much memory
            return lambda: leave_out(_lazy_if_large(load()), left_out)

        spans = sorted((x.region, x.job_type or "", to_micros(x.since), to_micros(x.until)) for x in left_out)
        return replace(
            self,
            version=None if self.version is None else f"{self.version}-{hash64(repr(spans))}",
            load=without(self.load),
            load_from_database=None if self.load_from_database is None else without(self.load_from_database),
            exclusions=left_out,
        )

    def collect(self, query: Callable[[Any], pl.DataFrame | pl.LazyFrame]) -> pl.DataFrame:
        """The rows of a query over the events, with text as String. Raises StoreUnavailable and StoreTimeout."""
        try:
            rows = collect(query(self.load()))
        except StoreUnavailable as error:
            if self.load_from_database is None:
                raise
            log.warning("reading a window from the database: %s", first_line(error))
            rows = collect(query(self.load_from_database()))
        # categories of two windows may differ, so their rows could not be joined
        return rows.with_columns(pl.selectors.categorical().cast(pl.String))


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
            return EventWindow(None, read, as_of, partial(read, prefer_database=True))
        load = partial(self._load, state, first, last)
        from_database = partial(self._read, state.categories, since, until, prefer_database=True)
        return EventWindow(state.version(first, last), load, None, from_database)

    def results(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> EventWindow:
        """The results of one orchestrator as HybridEvents.results returns them now, without a version."""
        as_of = self._source.replayed_until()
        results = self._source.results(orchestrator, since, until, job_type, with_errors=with_errors)
        return EventWindow(None, lambda: results, as_of)

    def window_during_outage(self, since: datetime, until: datetime) -> EventWindow:
        """The events of a window as of the last refresh, from memory and the lake, without the database.

        Raises StoreUnavailable where these do not have the whole window.
        """
        state, as_of, first, last = self._shared.current, self._refresher.as_of, to_micros(since), to_micros(until)
        if state is not None and as_of is not None and since <= as_of and not state.missing(first, last):
            return EventWindow(state.version(first, last), partial(self._load, state, first, last), as_of)
        lake = self._require_lake(since)
        categories = TextCategories() if state is None else state.categories
        old = categories.encode(lake.window(since, until))
        if state is None or as_of is None or as_of < lake.as_of or not self._overlaps_lake(state, lake):
            return EventWindow(None, lambda: old, lake.as_of)
        recent = [events.lazy() for events in state.events_after(lake.watermark, first, last)]
        return EventWindow(None, lambda: pl.concat([old, *recent]), as_of)

    def results_during_outage(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> EventWindow:
        """The results of one orchestrator from the lake. Raises StoreUnavailable where it does not have them."""
        lake = self._require_lake(since)
        results = lake.results(orchestrator, since, until, job_type, with_errors=with_errors)
        return EventWindow(None, lambda: results, lake.as_of)

    def _load(self, state: LiveState, first: int, last: int) -> pl.DataFrame | pl.LazyFrame:
        """The events of a window of a state, with those of missing days read from the database."""
        events = state.with_chunks(self._days.read(state, first, last)).window(first, last)
        mapped = [frame for frame in events if isinstance(frame, pl.DataFrame)]
        scanned = [frame for frame in events if isinstance(frame, pl.LazyFrame)]
        # one frame of many chunks is quicker than a union of as many frames
        frame = pl.concat([state.categories.empty, *mapped], rechunk=False)
        if frame.height <= SMALL_FRAME_ROWS and len(mapped) > MAX_SMALL_CHUNKS:
            frame = frame.rechunk()
        return pl.concat([frame.lazy(), *scanned], rechunk=False) if scanned else frame

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


def _lazy_if_large(events: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
    return events.lazy() if isinstance(events, pl.DataFrame) and events.height > SMALL_FRAME_ROWS else events
