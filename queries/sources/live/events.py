"""Recent events, kept in memory and brought up to date at each request."""

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
from queries.sources.hybrid import HybridEvents
from queries.sources.lake_snapshot import LakeSnapshot, hash64
from queries.sources.live.backfill import Backfill
from queries.sources.live.cache import NEVER_MICROS, EventCache
from queries.sources.live.refresher import Refresher
from queries.sources.live.shared_cache import SharedCache
from queries.sources.parquet_files import collect
from queries.sources.text_encoding import decode_text, encode_text
from queries.times import from_micros, to_micros

log = logging.getLogger(__name__)

Load = Callable[[], pl.DataFrame | pl.LazyFrame]


@dataclass(frozen=True)
class EventWindow:
    """The events of a window, which ``load`` reads. Their text is Categorical.

    ``load`` returns a DataFrame where all events are in memory and few: query
    functions are quicker over such a frame than over a LazyFrame.
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
            return lambda: leave_out(load(), left_out)

        spans = sorted((x.region, x.job_type or "", to_micros(x.since), to_micros(x.until)) for x in left_out)
        return replace(
            self,
            version=None if self.version is None else f"{self.version}-{hash64(repr(spans))}",
            load=without(self.load),
            load_from_database=None if self.load_from_database is None else without(self.load_from_database),
            exclusions=left_out,
        )

    def collect(self, query: Callable[[Any], pl.DataFrame | pl.LazyFrame]) -> pl.DataFrame:
        """The rows of a query over the events. Raises StoreUnavailable and StoreTimeout."""
        try:
            return collect(query(self.load()))
        except StoreUnavailable as error:
            if self.load_from_database is None:
                raise
            log.warning("reading a window from the database: %s", first_line(error))
        return collect(query(self.load_from_database()))


class MemoryUsage(NamedTuple):
    """How many events are in memory, about how many bytes they take, and from when on they are complete."""

    events: int
    bytes: int
    since: datetime


class LiveEvents:
    """Events of a database and its lake, cached in memory as far back as requests have asked for.

    A window has every event that was committed before it was requested.

    The last ``warm_window`` is always in memory, once ``start`` has loaded
    it. A longer window extends the cache, up to ``memory_bytes``; what is
    older than that is read for one call. Every ``reload_interval`` seconds
    the warm window is read again, because an administrator may have changed
    it; where the database's counters show changes, everything is.

    Threads may share a LiveEvents. Every read raises StoreUnavailable and
    StoreTimeout as those of ``source`` do.
    """

    def __init__(
        self, source: HybridEvents, *, warm_window: timedelta, memory_bytes: int, reload_interval: float
    ) -> None:
        self._source = source
        self._shared = SharedCache(warm_window, memory_bytes)
        self._backfill = Backfill(source, self._shared)
        self._refresher = Refresher(source, self._shared, self._backfill, reload_interval)

    def start(self) -> None:
        """Loads the warm window and keeps it up to date, on a thread."""
        self._refresher.start()

    def close(self) -> None:
        """Ends the thread and closes the idle connections."""
        self._refresher.close()
        self._source.close()

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order."""
        return decode_text(self.at(since, until, timeout=self.timeout).load().lazy())

    @property
    def timeout(self) -> float:
        """The limit in seconds for a request that needs the database."""
        return self._source.timeout + CLIENT_MARGIN_SECONDS

    @property
    def memory(self) -> MemoryUsage | None:
        """What the cache holds, or None where it was not filled yet."""
        cache = self._shared.current
        is_filled = cache is not None and cache.since < NEVER_MICROS
        return MemoryUsage(cache.event_count, cache.bytes, from_micros(cache.since)) if cache and is_filled else None

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
        cache, first, last = self._refresher.refresh(timeout), to_micros(since), to_micros(until)
        if cache is None:
            # before the events are read
            as_of = self._source.replayed_until()
            read = partial(self._source.window, since, until, encoded=True)
            return EventWindow(None, read, as_of, partial(read, prefer_database=True))
        version = cache.fingerprint(first, last)
        if cache.since <= first:
            return EventWindow(version, partial(_cached_events, cache, first, last))
        # the fingerprint does not count events that are older than the cache
        read = partial(self._backfill.window, first, last)
        return EventWindow(f"{version}-{first}-{last}", read, None, partial(read, prefer_database=True))

    def results(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> EventWindow:
        """The results of one orchestrator as HybridEvents.results returns them now, without a version."""
        as_of = self._source.replayed_until()
        results = self._source.results(orchestrator, since, until, job_type)
        return EventWindow(None, lambda: results, as_of)

    def window_during_outage(self, since: datetime, until: datetime) -> EventWindow:
        """The events of a window as of the last refresh, from the cache and the lake, without the database.

        Raises StoreUnavailable where these do not have the whole window.
        """
        cache, as_of, first, last = self._shared.current, self._refresher.as_of, to_micros(since), to_micros(until)
        if cache is not None and as_of is not None and cache.since <= first and since <= as_of:
            return EventWindow(cache.fingerprint(first, last), partial(_cached_events, cache, first, last), as_of)
        lake = self._require_lake(since)
        old = encode_text(lake.window(since, until))
        if cache is None or as_of is None or as_of < lake.as_of or not self._overlaps_lake(cache, lake):
            return EventWindow(None, lambda: old, lake.as_of)
        recent = cache.events_after(lake.watermark, first, last).lazy()
        return EventWindow(None, lambda: pl.concat([old, recent]), as_of)

    def results_during_outage(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> EventWindow:
        """The results of one orchestrator from the lake. Raises StoreUnavailable where it does not have them."""
        lake = self._require_lake(since)
        return EventWindow(None, lambda: lake.results(orchestrator, since, until, job_type), lake.as_of)

    def _require_lake(self, since: datetime) -> LakeSnapshot:
        try:
            lake = self._source.lake()
        except StoreError as error:
            raise StoreUnavailable(f"neither the database nor the lake is available: {first_line(error)}") from error
        if lake is None or since > lake.as_of:
            raise StoreUnavailable("the database is not available, and neither memory nor the lake has this window")
        return lake

    def _overlaps_lake(self, cache: EventCache, lake: LakeSnapshot) -> bool:
        """Whether the cache has every event that the lake lacks, of the same state of the table."""
        changes = self._refresher.changes
        return lake.watermark >= cache.complete_after_id and changes is not None and lake.changes == hash64(changes)


def _cached_events(cache: EventCache, first: int, last: int) -> pl.DataFrame | pl.LazyFrame:
    events = cache.window(first, last)
    return events if events.height <= SMALL_FRAME_ROWS else events.lazy()
