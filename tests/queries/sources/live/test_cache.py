"""An EventCache has the right events after any operations in any order."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from queries.sources.live.cache import (
    DAY_MICROS,
    EMPTY_EVENTS,
    EVENT_BYTES,
    MAX_UNMERGED_EVENTS,
    NEVER_MICROS,
    EventCache,
    partition_by_day,
    sort_and_encode,
)
from queries.times import from_micros, to_micros

DAYS = range(-3, 4)
EVER = 10 * DAY_MICROS

# days before and after 1970, and often just at the end of one
midnights = st.sampled_from(DAYS).map(lambda day: day * DAY_MICROS)
moments = st.builds(
    int.__add__, midnights, st.sampled_from([0, 0, 1, DAY_MICROS // 2, DAY_MICROS - 1]) | st.integers(0, DAY_MICROS - 1)
)
windows = st.tuples(moments, moments | st.integers(0, 3 * DAY_MICROS)).map(lambda window: (min(window), max(window)))


def frame(events: dict[int, int]) -> pl.DataFrame:
    """Events with these ids at these times (µs since 1970), each of another orchestrator."""
    unposted = (None, "none", None, None, None)
    rows = [
        (id_, from_micros(at), f"0x{id_}", "FRA", "ai", "LLM" if id_ % 2 else None, None, 1.0, id_ / 8, 0.0, *unposted)
        for id_, at in events.items()
    ]
    return sort_and_encode(
        pl.LazyFrame(rows, schema=EMPTY_EVENTS.cast({pl.Categorical: pl.String}).schema, orient="row")
    )


def contents(events: pl.DataFrame) -> dict[int, int]:
    """The times of events by their ids. No id may be there twice."""
    times = dict(zip(events["id"], events["event_time"].to_physical(), strict=True))
    assert len(times) == events.height
    return times


def between(events: dict[int, int], since: int, until: int) -> dict[int, int]:
    return {id_: at for id_, at in events.items() if since <= at <= until}


@dataclass(frozen=True)
class Chunk:
    """The days before ``end``, read when all ids up to ``max_id`` were settled."""

    events: pl.DataFrame
    start: int
    end: int
    max_id: int


class Process:
    """A process that caches some of the table, and what the table had at its last refresh."""

    def __init__(self) -> None:
        self.cache = EventCache(settled_id=0, complete_after_id=0)
        self.seen: dict[int, int] = {}
        self.chunks: list[Chunk] = []
        self.earlier: list[tuple[EventCache, dict[int, int]]] = []

    def set_cache(self, cache: EventCache) -> None:
        self.earlier.append((self.cache, contents(self.cache.window(-EVER, EVER))))
        self.cache = cache
        assert cache.bytes == EVENT_BYTES * sum(
            part.height for part in (*cache.days.values(), cache.unmerged, cache.unsettled)
        )

    def expected(self, since: int, until: int) -> dict[int, int]:
        inside = between(self.seen, since, until).items()
        return {id_: at for id_, at in inside if at >= self.cache.since or id_ > self.cache.settled_id}


class OneTable:
    """A table in which transactions insert events, and two processes that cache some of it."""

    def __init__(self) -> None:
        self.drawn = 0
        self.open: list[dict[int, int]] = []
        self.committed: dict[int, int] = {}
        self.processes = (Process(), Process())
        self.versions: dict[object, dict[int, int]] = {}

    def insert(self, times: list[int], immediately: bool) -> None:
        self.open.append(dict(enumerate(times, self.drawn + 1)))
        self.drawn += len(times)
        if immediately:
            self.committed |= self.open.pop()

    def end(self, which: int, kept: bool) -> None:
        if self.open:
            events = self.open.pop(which % len(self.open))
            self.committed |= events if kept else {}

    def refresh(self, process: Process, lag: int) -> None:
        cache = process.cache
        settled = min((id_ for events in self.open for id_ in events), default=self.drawn + 1) - 1
        rows = {id_: at for id_, at in self.committed.items() if id_ > cache.settled_id}
        process.seen = dict(self.committed)
        process.set_cache(cache.add_new_events(frame(rows), max(cache.settled_id, settled - lag)))
        assert (process.cache.since, process.cache.complete_after_id) == (cache.since, cache.complete_after_id)

    def load(self, process: Process, begin: int, unbounded: bool, immediately: bool) -> None:
        """Reads a chunk, which is added now or later."""
        cache = process.cache
        edge = NEVER_MICROS if unbounded else cache.since
        if begin < edge:
            events = {id_: at for id_, at in self.committed.items() if begin <= at < edge and id_ <= cache.settled_id}
            process.chunks.append(Chunk(frame(events), begin, edge, cache.settled_id))
            if immediately:
                self.add_chunk(process)

    def add_chunk(self, process: Process) -> None:
        cache = process.cache
        if process.chunks:
            chunk = process.chunks.pop()
            # nothing between the chunk and the cache was evicted since the chunk was read
            if cache.since <= chunk.start or (cache.since <= chunk.end and cache.complete_after_id <= chunk.max_id):
                process.set_cache(cache.backfill(partition_by_day(chunk.events), chunk.start, chunk.end, chunk.max_id))
                assert process.cache.since == min(cache.since, chunk.start)

    def evict(self, process: Process, limit: int, keep: int) -> None:
        cache = process.cache
        process.set_cache(cache.evict(limit * EVENT_BYTES, keep))
        now = process.cache
        assert cache.since <= now.since <= max(cache.since, keep // DAY_MICROS * DAY_MICROS)
        assert now.bytes <= limit * EVENT_BYTES or not any((day + 1) * DAY_MICROS <= keep for day in now.days)

    def merge(self, process: Process) -> None:
        process.set_cache(process.cache.merge())

    def request(self, since: int, until: int) -> None:
        versions = []
        for process in self.processes:
            cache, whole = process.cache, between(process.seen, since, until)
            assert contents(cache.window(since, until)) == process.expected(since, until)
            version = cache.fingerprint(since, until)
            versions.append((cache.settled_id, process.seen, version))
            # a fingerprint does not count events before the cache
            key = version if cache.since <= since else (version, since, until)
            assert self.versions.setdefault(key, whole) == whole
        one, other = versions
        if one[:2] == other[:2] and max(process.cache.since for process in self.processes) <= since <= until:
            assert one == other

    def check_all(self) -> None:
        for process in self.processes:
            window = process.cache.window(-EVER, EVER)
            assert_frame_equal(window.sort("id"), frame(process.expected(-EVER, EVER)).sort("id"))
            for earlier, window in process.earlier:
                assert contents(earlier.window(-EVER, EVER)) == window


process, flag = st.integers(0, 1), st.booleans()
times = st.lists(moments, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("insert"), times, flag),
    st.tuples(st.just("end"), st.integers(0, 9), flag),
    st.tuples(st.just("refresh"), process, st.sampled_from([0, 0, 0, 1, 5])),
    st.tuples(st.just("load"), process, midnights, flag, flag),
    st.tuples(st.just("add_chunk"), process),
    st.tuples(st.just("evict"), process, st.integers(0, 12), moments),
    st.tuples(st.just("merge"), process),
)


@pytest.mark.slow
@given(times, st.lists(st.tuples(steps, windows, windows), min_size=10, max_size=40))
@settings(max_examples=75, deadline=None)
def test_every_window_equals_the_table_after_any_operations(
    first: list[int], history: list[tuple[tuple[Any, ...], *tuple[tuple[int, int], ...]]]
) -> None:
    table = OneTable()
    table.insert(first, immediately=True)
    for process in table.processes:
        table.refresh(process, lag=0)
        table.load(process, DAY_MICROS, unbounded=False, immediately=True)
    for (step, *arguments), *requested in history:
        if step not in ("insert", "end"):
            arguments[0] = table.processes[arguments[0]]
        getattr(table, step)(*arguments)
        for window in requested:
            table.request(*window)
    table.check_all()


def test_new_events_are_unsettled_until_their_id_is_settled() -> None:
    rows = frame({1: 0, 2: -5, 3: 5})
    cache = EventCache(settled_id=0, complete_after_id=0).add_new_events(rows, 1)
    assert (contents(cache.unmerged), contents(cache.unsettled)) == ({1: 0}, {2: -5, 3: 5})
    # the second was rolled back
    cache = cache.add_new_events(frame({3: 5}), 3)
    assert (contents(cache.unmerged), contents(cache.unsettled)) == ({1: 0, 3: 5}, {})


def test_refresh_without_events_drops_the_unsettled() -> None:
    cache = (
        EventCache(settled_id=0, complete_after_id=0)
        .add_new_events(frame({1: 0, 2: 0}), 1)
        .add_new_events(EMPTY_EVENTS, 2)
    )
    assert contents(cache.unmerged) == {1: 0}
    assert (cache.settled_id, cache.unsettled.height) == (2, 0)


def test_many_unmerged_events_are_merged_into_their_days() -> None:
    many = {id_: (id_ % 3 - 1) * DAY_MICROS for id_ in range(1, MAX_UNMERGED_EVENTS + 2)}
    few = dict(list(many.items())[:MAX_UNMERGED_EVENTS])
    assert EventCache(settled_id=0, complete_after_id=0).add_new_events(frame(few), MAX_UNMERGED_EVENTS).days == {}
    cache = EventCache(settled_id=0, complete_after_id=0).add_new_events(frame(many), MAX_UNMERGED_EVENTS + 1)
    assert (sorted(cache.days), cache.unmerged.height) == ([-1, 0, 1], 0)
    assert contents(replace(cache, since=-DAY_MICROS).window(-DAY_MICROS, DAY_MICROS)) == many


def test_chunk_replaces_the_settled_events_of_its_days_only() -> None:
    cache = EventCache(settled_id=0, complete_after_id=0).add_new_events(
        frame({1: -DAY_MICROS, 2: -1, 3: 0, 4: DAY_MICROS - 1, 5: DAY_MICROS}), 5
    )
    # since the first read, 3 was deleted and 4 moved; 5 and 6 stay
    chunk = partition_by_day(frame({4: DAY_MICROS - 2}))
    cache = cache.add_new_events(frame({6: 7}), 6).backfill(chunk, 0, DAY_MICROS, 5)
    assert cache.since == 0
    assert contents(cache.window(0, EVER)) == {4: DAY_MICROS - 2, 5: DAY_MICROS, 6: 7}
    assert contents(replace(cache, since=-DAY_MICROS).window(-DAY_MICROS, EVER)) == {
        1: -DAY_MICROS,
        2: -1,
        4: DAY_MICROS - 2,
        5: DAY_MICROS,
        6: 7,
    }


def test_oldest_days_are_evicted_first_and_no_more_than_needed() -> None:
    events = {1: 0, 2: 1, 3: DAY_MICROS, 4: 3 * DAY_MICROS, 5: 4 * DAY_MICROS}
    cache = EventCache(settled_id=5, complete_after_id=0).backfill(
        partition_by_day(frame(events)), -DAY_MICROS, NEVER_MICROS, 5
    )
    for limit, since in (
        (5, -DAY_MICROS),
        (4, DAY_MICROS),
        (3, DAY_MICROS),
        (2, 2 * DAY_MICROS),
        (1, 4 * DAY_MICROS),
        (0, 5 * DAY_MICROS),
    ):
        evict = cache.evict(limit * EVENT_BYTES, NEVER_MICROS)
        assert evict.since == since
        assert contents(evict.window(-EVER, EVER)) == between(events, since, EVER)
    assert cache.evict(5 * EVENT_BYTES, NEVER_MICROS) is cache


@pytest.mark.parametrize(
    ("keep", "since"),
    [(DAY_MICROS, DAY_MICROS), (DAY_MICROS - 1, 0), (DAY_MICROS + 1, DAY_MICROS), (2 * DAY_MICROS, 2 * DAY_MICROS)],
)
def test_no_event_after_a_moment_is_evicted(keep: int, since: int) -> None:
    events = {1: 0, 2: DAY_MICROS - 1, 3: DAY_MICROS, 4: 2 * DAY_MICROS - 1, 5: 2 * DAY_MICROS}
    cache = EventCache(settled_id=5, complete_after_id=0).backfill(partition_by_day(frame(events)), 0, NEVER_MICROS, 5)
    assert contents(cache.evict(0, keep).window(-EVER, EVER)) == between(events, since, EVER)


def test_unsettled_events_are_not_evicted() -> None:
    cache = (
        EventCache(settled_id=1, complete_after_id=0)
        .backfill(partition_by_day(frame({1: 0})), 0, NEVER_MICROS, 1)
        .add_new_events(frame({2: 5, 3: -DAY_MICROS}), 1)
    )
    cache = cache.evict(0, NEVER_MICROS)
    assert contents(cache.window(-EVER, EVER)) == {2: 5, 3: -DAY_MICROS}
    assert (cache.since, cache.complete_after_id, cache.bytes) == (DAY_MICROS, 1, 2 * EVENT_BYTES)


def test_fingerprint_changes_when_an_event_enters_or_leaves_the_window() -> None:
    cache = EventCache(settled_id=3, complete_after_id=0).backfill(
        partition_by_day(frame({1: 10, 2: 20, 3: DAY_MICROS + 5})), 0, NEVER_MICROS, 3
    )
    version = cache.fingerprint(5, 30)
    # no event is between these ends
    assert {cache.fingerprint(*window) for window in ((6, 30), (10, 20), (5, DAY_MICROS + 4))} == {version}
    moved = [cache.fingerprint(*window) for window in ((11, 30), (5, 19), (21, 30), (5, DAY_MICROS + 5), (0, 9))]
    fresh, other = cache.add_new_events(frame({4: 15}), 3), cache.add_new_events(frame({5: 15}), 3)
    came = [events.fingerprint(5, 30) for events in (fresh, other, fresh.add_new_events(frame({4: 15}), 4))]
    assert len({version, *moved, *came}) == 1 + len(moved) + len(came)


def test_fingerprint_does_not_depend_on_the_order_of_reads() -> None:
    versions = {
        EventCache(settled_id=0, complete_after_id=0)
        .add_new_events(frame(events), 0)
        .fingerprint(-DAY_MICROS, DAY_MICROS)
        for events in ({1: 5, 2: 5, 3: 0}, {3: 0, 2: 5, 1: 5}, {2: 5, 3: 0, 1: 5})
    }
    assert len(versions) == 1


def test_events_may_arrive_in_any_order_of_time() -> None:
    cache = (
        EventCache(settled_id=0, complete_after_id=0, since=0)
        .add_new_events(frame({1: 50}), 1)
        .add_new_events(frame({2: 20}), 2)
    )
    cache = cache.add_new_events(frame({3: 30}), 3)
    assert contents(cache.window(0, 40)) == contents(cache.merge().window(0, 40)) == {2: 20, 3: 30}
    cache = cache.merge().add_new_events(frame({4: 10}), 4).add_new_events(frame({5: 60}), 5).merge()
    assert contents(cache.window(0, 15)) == {4: 10}
    assert contents(cache.window(55, DAY_MICROS)) == {5: 60}


def test_eviction_of_a_day_includes_its_unmerged_events() -> None:
    cache = (
        EventCache(settled_id=1, complete_after_id=0)
        .backfill(partition_by_day(frame({1: 0})), 0, NEVER_MICROS, 1)
        .add_new_events(frame({2: 5, 3: DAY_MICROS}), 3)
    )
    cache = cache.evict(2 * EVENT_BYTES, DAY_MICROS)
    assert (cache.since, cache.bytes) == (DAY_MICROS, EVENT_BYTES)


def test_text_is_categorical_and_frames_concatenate() -> None:
    one, other = frame({1: 0}), frame({2: DAY_MICROS})
    assert {one.schema[name] for name in ("orchestrator", "region", "job_type", "pipeline", "model")} == {
        pl.Categorical()
    }
    assert one.schema == EMPTY_EVENTS.schema
    assert pl.concat([one, other])["orchestrator"].cast(pl.String).to_list() == ["0x1", "0x2"]


@given(moments)
def test_day_begins_at_midnight(at: int) -> None:
    ((day, events),) = partition_by_day(frame({1: at})).items()
    assert day * DAY_MICROS <= at < (day + 1) * DAY_MICROS
    assert contents(events) == {1: at}


def test_no_events_are_no_days() -> None:
    assert partition_by_day(EMPTY_EVENTS) == {}


@given(st.datetimes(timezones=st.just(UTC)))
def test_moment_is_its_microseconds(at: datetime) -> None:
    assert from_micros(to_micros(at)) == at


def test_never_is_after_the_last_moment() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert to_micros(last) < NEVER_MICROS
    assert from_micros(NEVER_MICROS) == from_micros(to_micros(last) + 1) == last
    assert from_micros(to_micros(last) - 1) == last - timedelta(microseconds=1)
