"""A LiveState has the right events after any operations in any order."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.sources.decoded import TextCategories
from queries.sources.live.days import (
    DAY_MICROS,
    DAYS_END,
    Span,
    common_days,
    join_spans,
    moments_of,
    partition_by_day,
    sort_events,
    without_days,
)
from queries.sources.live.state import EVENT_BYTES, LiveState
from queries.times import from_micros

DAYS = range(-3, 4)
EVER = 10 * DAY_MICROS
CATEGORIES = TextCategories()

# days before and after 1970, and often just at the end of one
midnights = st.sampled_from(DAYS).map(lambda day: day * DAY_MICROS)
moments = st.builds(
    int.__add__, midnights, st.sampled_from([0, 0, 1, DAY_MICROS // 2, DAY_MICROS - 1]) | st.integers(0, DAY_MICROS - 1)
)
windows = st.tuples(moments, moments | st.integers(0, 3 * DAY_MICROS)).map(lambda window: (min(window), max(window)))
spans = st.tuples(st.sampled_from(DAYS), st.sampled_from(DAYS)).map(lambda days: (min(days), max(days) + 1))


def frame(events: dict[int, int]) -> pl.DataFrame:
    """Events with these ids at these times (µs since 1970), each of another orchestrator."""
    unposted = (None, "none", None, None, None)
    rows = [
        (id_, from_micros(at), f"0x{id_}", "FRA", "ai", "LLM" if id_ % 2 else None, None, 1.0, id_ / 8, 0.0, *unposted)
        for id_, at in events.items()
    ]
    schema = CATEGORIES.empty.cast({pl.selectors.categorical(): pl.String}).schema
    return sort_events(CATEGORIES.encode(pl.LazyFrame(rows, schema=schema, orient="row")).collect())


def contents(state: LiveState, since: int, until: int) -> dict[int, int]:
    """The times of a window's events by their ids. No id may be there twice."""
    events = pl.concat([CATEGORIES.empty, *state.window(since, until)])
    times = dict(zip(events["id"], events["event_time"].to_physical(), strict=True))
    assert len(times) == events.height
    return times


def between(events: dict[int, int], since: int, until: int) -> dict[int, int]:
    return {id_: at for id_, at in events.items() if since <= at <= until}


@dataclass(frozen=True)
class Chunk:
    """Days that were read in an epoch."""

    events: pl.DataFrame
    span: Span
    epoch: int


class Process:
    """A process that has some of the table in memory, and what the table had at its last refresh."""

    def __init__(self) -> None:
        self.state = LiveState(CATEGORIES, 0, 0).with_table_version("table", 0)
        self.seen: dict[int, int] = {}
        self.chunks: list[Chunk] = []
        self.earlier: list[tuple[LiveState, dict[int, int]]] = []
        self.rereads = False

    def set_state(self, state: LiveState) -> None:
        self.earlier.append((self.state, contents(self.state, -EVER, EVER)))
        self.state = state


class OneTable:
    """A table in which transactions insert events, and two processes that have some of it in memory."""

    def __init__(self) -> None:
        self.drawn = 0
        self.changes = 0
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
        state = process.state
        settled = min((id_ for events in self.open for id_ in events), default=self.drawn + 1) - 1
        after_id = state.base_id if process.rereads else state.settled_id
        rows = {id_: at for id_, at in self.committed.items() if id_ > after_id}
        settled_id = max(state.settled_id, settled - lag)
        process.seen = dict(self.committed)
        if process.rereads:
            process.set_state(state.with_recent(frame(rows), settled_id))
        else:
            process.set_state(state.with_unsettled(frame(rows), settled_id))
        process.rereads = False

    def load(self, process: Process, span: Span, unbounded: bool, immediately: bool) -> None:
        """Reads some missing days, which are added now or later."""
        state = process.state
        for first, end in state.missing_days(span[0], DAYS_END if unbounded else span[1]):
            since, until = moments_of((first, end))
            events = {id_: at for id_, at in between(self.committed, since, until).items() if id_ <= state.base_id}
            process.chunks.append(Chunk(frame(events), (first, end), state.epoch))
        if immediately:
            self.add_chunk(process)

    def add_chunk(self, process: Process) -> None:
        if process.chunks and (chunk := process.chunks.pop()).epoch == process.state.epoch:
            process.set_state(process.state.with_days(partition_by_day(chunk.events), chunk.span))

    def evict(self, process: Process, limit: int, keep: int) -> None:
        process.set_state(process.state.evict(limit * EVENT_BYTES, keep))
        days = [day for day in process.state.days if (day + 1) * DAY_MICROS <= keep]
        assert process.state.bytes <= limit * EVENT_BYTES or not days

    def delete(self, which: int) -> None:
        """Deletes an event, of which both processes hear and read again what they have of its day."""
        if not self.committed:
            return
        id_ = sorted(self.committed)[which % len(self.committed)]
        day = self.committed.pop(id_) // DAY_MICROS
        self.changes += 1
        for process in self.processes:
            held = common_days(process.state.held, [(day, day + 1)])
            process.set_state(process.state.with_changed_days([day]))
            assert process.state.version(0, 0) is None
            process.rereads = True
            self.refresh(process, 0)
            for span in held:
                self.load(process, span, False, True)
            process.set_state(process.state.with_table_version(f"table {self.changes}", self.changes))

    def request(self, since: int, until: int) -> None:
        found = []
        for process in self.processes:
            state, whole = process.state, between(process.seen, since, until)
            missing = state.missing(since, until)
            expected = {
                id_: at
                for id_, at in whole.items()
                if id_ > state.base_id or not any(first <= at // DAY_MICROS < end for first, end in missing)
            }
            assert contents(state, since, until) == expected
            version = state.version(since, until)
            assert version is not None
            found.append((state.settled_id, process.seen, version))
            assert self.versions.setdefault(version, whole) == whole
        one, other = found
        if one[:2] == other[:2] and not any("window" in version for _, _, version in found):
            assert one == other

    def check_all(self) -> None:
        for process in self.processes:
            for earlier, window in process.earlier:
                assert contents(earlier, -EVER, EVER) == window


process, flag = st.integers(0, 1), st.booleans()
times = st.lists(moments, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("insert"), times, flag),
    st.tuples(st.just("end"), st.integers(0, 9), flag),
    st.tuples(st.just("refresh"), process, st.sampled_from([0, 0, 0, 1, 5])),
    st.tuples(st.just("load"), process, spans, flag, flag),
    st.tuples(st.just("add_chunk"), process),
    st.tuples(st.just("evict"), process, st.integers(0, 12), moments),
    st.tuples(st.just("delete"), st.integers(0, 99)),
)


@pytest.mark.slow
@given(times, st.lists(st.tuples(steps, windows, windows), min_size=10, max_size=40))
@settings(max_examples=40, deadline=None)
def test_every_window_equals_the_table_after_any_operations(
    first: list[int], history: list[tuple[tuple[Any, ...], *tuple[tuple[int, int], ...]]]
) -> None:
    table = OneTable()
    table.insert(first, immediately=True)
    for each in table.processes:
        table.refresh(each, 0)
        table.load(each, (DAYS[0], DAYS[-1] + 1), True, True)
    for (name, *arguments), *requested in history:
        if name in ("refresh", "load", "add_chunk", "evict"):
            arguments[0] = table.processes[arguments[0]]
        getattr(table, name)(*arguments)
        for since, until in requested:
            # of two such windows, one may lack an event of the other
            for window in ((since, until), (since + 1, until), (since, until - 1)):
                table.request(*window)
    table.check_all()


def test_new_events_make_few_runs() -> None:
    state = LiveState(CATEGORIES, 0, 0)
    for id_ in range(1, 300):
        state = state.with_unsettled(frame({id_: -id_}), id_)
    assert state.recent_count == 299
    assert len(state.recent) < 6
    assert contents(state, -EVER, EVER) == {id_: -id_ for id_ in range(1, 300)}


def test_changed_days_of_each_state_of_the_table_are_known() -> None:
    state = LiveState(CATEGORIES, 9, 9).with_table_version("a", 1)
    state = state.with_changed_days([3]).with_table_version("b", 2)
    state = state.with_changed_days([5]).with_table_version("c", 3)
    assert state.history == {1: {3, 5}, 2: {5}, 3: frozenset()}


@pytest.mark.parametrize(
    ("spans", "removed", "left"),
    [
        ([(1, 4), (4, 6), (9, 9)], [], ((1, 6),)),
        ([(1, 6)], [(2, 3), (5, 9)], ((1, 2), (3, 5))),
        ([(1, 6)], [(0, 9)], ()),
        ([(5, 6), (1, 2)], [(2, 5)], ((1, 2), (5, 6))),
    ],
)
def test_days_without_others(spans: list[Span], removed: list[Span], left: tuple[Span, ...]) -> None:
    assert without_days(spans, removed) == left
    assert join_spans([*left, *common_days(spans, removed)]) == join_spans(spans)


@pytest.mark.parametrize("at", [-1, 0, 1, DAY_MICROS - 1, DAY_MICROS, -DAY_MICROS, -DAY_MICROS - 1])
def test_day_begins_at_midnight(at: int) -> None:
    (day,) = partition_by_day(frame({1: at}))
    first, last = moments_of((day, day + 1))
    assert first <= at <= last
    assert from_micros(first) + timedelta(days=1, microseconds=-1) == from_micros(last)
