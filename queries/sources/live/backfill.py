"""Reads events that are older than the cache: into the cache as far as there is memory, else for one request."""

import logging
import time
from itertools import pairwise

import polars as pl

from queries.concurrency.coalescing import CallBatcher
from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, run_in_thread
from queries.errors import StoreTimeout, StoreUnavailable, first_line
from queries.sources.hybrid import HybridEvents
from queries.sources.live.cache import DAY_MICROS, EMPTY_EVENTS, NEVER_MICROS, partition_by_day, sort_and_encode
from queries.sources.live.shared_cache import SharedCache
from queries.times import from_micros, to_micros

log = logging.getLogger(__name__)

CHUNK_ROWS = 250_000
"""About how many events one read returns. Chunks are whole days."""
PARALLEL_CHUNK_READS = 2
"""One read keeps only a single core of the database busy."""


class Backfill:
    """Extends a cache to older events of ``source``, a chunk at a time.

    Moments are microseconds since 1970. Reads raise StoreUnavailable and
    StoreTimeout. Threads may share a Backfill.
    """

    def __init__(self, source: HybridEvents, shared: SharedCache) -> None:
        self._source = source
        self._shared = shared
        self._load_next_shared = CallBatcher(self._load_next, source.timeout + CLIENT_MARGIN_SECONDS)

    def window(self, since: int, until: int, *, prefer_database: bool = False) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until of a window that starts before the cache, text as Categorical.

        With ``prefer_database``, only pruned events come from the lake.
        Extends the cache as far as there is memory and reads the rest for
        this call. Raises StoreTimeout where all of it takes longer than one
        read may.
        """
        if since > until:
            return EMPTY_EVENTS.lazy()
        deadline = time.monotonic() + self._source.timeout
        if (cache := self._shared.current) is not None and self._chunk_start(cache.since, until) <= until:
            # at most one chunk lies between the window and the cache
            self.extend(since, deadline)
        if (cache := self._shared.current) is None:
            first, last = from_micros(since), from_micros(until)
            return self._source.window(first, last, encoded=True, prefer_database=prefer_database)
        older, chunk_end = [], min(cache.since, until + 1)
        while chunk_end > since:
            _check_deadline(deadline)
            chunk_start = self._chunk_start(chunk_end, since)
            start, max_id = max(chunk_start, since), cache.settled_id
            older.append(self._read(start, chunk_end, max_id, prefer_database=prefer_database))
            chunk_end = chunk_start
        return pl.concat([cache.window(since, until).lazy(), *older], rechunk=False)

    def extend(self, target_start: int, deadline: float) -> None:
        """Extends the cache back to ``target_start``, or as far as there is memory.

        Raises StoreTimeout at the deadline (time.monotonic). The chunks that
        were read by then stay, so the next call has less to read.
        """
        while self._next_chunk_end(target_start) is not None:
            _check_deadline(deadline)
            self._load_next_shared(target_start)

    def load(self, chunk_end: int, target_start: int) -> int:
        """Loads some chunks that end at ``chunk_end`` in parallel, and returns where the first of them starts."""
        cache, generation = self._shared.current_with_generation()
        ends = [chunk_end]
        while len(ends) <= PARALLEL_CHUNK_READS and ends[-1] > target_start:
            ends.append(self._chunk_start(ends[-1], target_start))
        if cache is not None:
            reads = [run_in_thread(self._read_days, start, end, cache.settled_id) for end, start in pairwise(ends)]
            chunk = {day: events for read in reads for day, events in read.result().items()}
            self._shared.backfill(chunk, ends[-1], chunk_end, cache, generation)
        return ends[-1]

    def reload_days(self, days: set[int]) -> None:
        """Reads those of the days (since 1970) again that the cache has."""
        cache = self._shared.current
        if cache is None:
            return
        cached = sorted(day for day in days if cache.since <= day * DAY_MICROS < NEVER_MICROS)
        while cached:
            # consecutive days are read at once
            first = cached.pop(0)
            last = first
            while cached and cached[0] == last + 1:
                last = cached.pop(0)
            chunk_end = (last + 1) * DAY_MICROS
            while chunk_end > first * DAY_MICROS:
                chunk_end = self.load(chunk_end, first * DAY_MICROS)

    def _load_next(self, target_starts: list[int]) -> None:
        """Loads the next chunks for all who wait for older events."""
        target_start = min(target_starts)
        if (chunk_end := self._next_chunk_end(target_start)) is not None:
            self.load(chunk_end, target_start)

    def _next_chunk_end(self, target_start: int) -> int | None:
        """Where the next chunk ends, or None where the cache reaches the target or has no room for more."""
        cache = self._shared.current
        if cache is None or cache.since <= target_start:
            return None
        return cache.since if cache.since > self._shared.warm_start() or self._shared.has_room else None

    def _chunk_start(self, chunk_end: int, target_start: int) -> int:
        """The midnight where a chunk starts that ends before a midnight: it has CHUNK_ROWS or reaches the target."""
        bound = self._source.nth_before(from_micros(chunk_end), CHUNK_ROWS)
        start = target_start if bound is None else max(target_start, to_micros(bound))
        return start // DAY_MICROS * DAY_MICROS

    def _read_days(self, since: int, until: int, max_id: int) -> dict[int, pl.DataFrame]:
        try:
            events = sort_and_encode(self._read(since, until, max_id))
        except StoreUnavailable as error:
            # a file of the lake may be missing or broken
            log.warning("reading %s from the database: %s", from_micros(since).date(), first_line(error))
            events = sort_and_encode(self._read(since, until, max_id, prefer_database=True))
        return partition_by_day(events)

    def _read(self, since: int, until: int, max_id: int, *, prefer_database: bool = False) -> pl.LazyFrame:
        """The events with since ≤ event_time < until and an id of at most ``max_id``."""
        first, last = from_micros(since), from_micros(until - 1)
        return self._source.window(first, last, max_id=max_id, encoded=True, prefer_database=prefer_database)


def _check_deadline(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise StoreTimeout("the window took too long to read")
