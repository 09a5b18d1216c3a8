"""Reads the days that a LiveState does not have, a chunk at a time."""

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Lock
from weakref import WeakValueDictionary

import polars as pl

from queries.concurrency.coalescing import KeyedSingleFlight
from queries.concurrency.timeouts import run_in_thread
from queries.errors import StoreTimeout, StoreUnavailable, first_line
from queries.sources.hybrid import HybridEvents
from queries.sources.live.days import (
    DAY_MICROS,
    DAYS_END,
    DayChunk,
    Span,
    collect_sorted,
    join_spans,
    moments_of,
    partition_by_day,
)
from queries.sources.live.shared_state import SharedState
from queries.sources.live.state import LiveState
from queries.times import MAX_TIME, from_micros, to_micros

log = logging.getLogger(__name__)

CHUNK_ROWS = 250_000
"""About how many events one read returns. Chunks are whole days."""
MIN_CHUNK_ROWS = 10_000
PARALLEL_CHUNK_READS = 2
"""One read keeps only a single core of the database busy."""


ChunkKey = tuple[int, Span]


class DayReader:
    """Reads days from ``source`` and adds them to the shared state, as far as there is memory for them.

    There is no limit for all chunks of a window together, only for each read.
    Callers that need the same chunk share one read, and so do those that come
    while another one still uses it. Threads may share a DayReader.
    """

    def __init__(self, source: HybridEvents, shared: SharedState) -> None:
        self._source = source
        self._shared = shared
        self._chunk_rows = CHUNK_ROWS
        self._flights: KeyedSingleFlight[ChunkKey, DayChunk] = KeyedSingleFlight()
        self._lock = Lock()
        self._used: WeakValueDictionary[ChunkKey, DayChunk] = WeakValueDictionary()

    def read(self, state: LiveState, since: int, until: int) -> list[DayChunk]:
        """The missing days of a window of a state, as far as ``state.missing`` says.

        Raises StoreUnavailable and StoreTimeout as ``source`` does.
        """
        if not (missing := state.missing(since, until)):
            return []
        chunks: list[DayChunk] = []
        # the next read begins as soon as the oldest one has ended
        reads = deque[Future[DayChunk]]()
        for span in reversed(self._with_gap(state, missing, until)):
            for chunk_span in self._chunk_spans(span):
                reads.append(run_in_thread(self._read_chunk, state, chunk_span))
                if len(reads) == PARALLEL_CHUNK_READS:
                    chunks.append(reads.popleft().result())
        return chunks + [read.result() for read in reads]

    def _chunk_spans(self, span: Span) -> Iterator[Span]:
        """The spans of the chunks that make up these days, the newest one first."""
        first, end = span
        while end > first:
            start = self._chunk_start(end, first)
            yield start, end
            end = start

    def _with_gap(self, state: LiveState, missing: tuple[Span, ...], until: int) -> tuple[Span, ...]:
        """The missing days, with those between the window and held ones or the end where these are a chunk at most.

        The version of a window counts the events after it.
        """
        after = until // DAY_MICROS + 1
        gaps = state.missing_days(after, DAYS_END) if state.base is None else ()
        if not gaps or gaps[0][0] != after:
            return missing
        return join_spans([*missing, gaps[0]]) if self._chunk_start(gaps[0][1], after) == after else missing

    def _chunk_start(self, end: int, first: int) -> int:
        """The day on which a chunk starts that ends before the day ``end``: it has CHUNK_ROWS or reaches ``first``."""
        if end - first == 1:
            return first
        moment = MAX_TIME if end == DAYS_END else from_micros(end * DAY_MICROS)
        bound = self._source.nth_before(moment, min(self._chunk_rows, CHUNK_ROWS))
        # a whole day at least
        return first if bound is None else max(first, min(to_micros(bound) // DAY_MICROS, end - 1))

    def _read_chunk(self, state: LiveState, span: Span) -> DayChunk:
        key = (state.epoch, span)

        def read() -> DayChunk:
            with self._lock:
                if (used := self._used.get(key)) is not None:
                    return used
            chunk = self._read_span(state, span)
            self._shared.add_days(chunk.days, span, state.epoch)
            with self._lock:
                self._used[key] = chunk
            return chunk

        return self._flights(key, read)

    def _read_span(self, state: LiveState, span: Span) -> DayChunk:
        # with a base, these are days that the lake does not have as they are now
        prefers = state.base is not None
        try:
            return DayChunk(self._read_days(state, span, prefer_database=prefers), span)
        except StoreUnavailable as error:
            if prefers:
                raise
            # a file of the lake may be missing or broken
            log.warning("reading %s from the database: %s", from_micros(span[0] * DAY_MICROS).date(), first_line(error))
        except StoreTimeout:
            # the next reads are shorter
            self._chunk_rows = max(MIN_CHUNK_ROWS, self._chunk_rows // 2)
            raise
        return DayChunk(self._read_days(state, span, prefer_database=True), span)

    def _read_days(self, state: LiveState, span: Span, *, prefer_database: bool) -> dict[int, pl.DataFrame]:
        first, last = (from_micros(moment) for moment in moments_of(span))
        events = self._source.window(first, last, max_id=state.base_id, prefer_database=prefer_database)
        found = partition_by_day(collect_sorted(events, state.categories))
        self._chunk_rows = min(CHUNK_ROWS, 2 * self._chunk_rows)
        return found
