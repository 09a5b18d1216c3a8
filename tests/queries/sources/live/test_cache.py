"""Held events, as a value: what it answers, whatever was done to it in whatever order."""

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
    """Events of the given ids at the given times (µs since 1970), each of an orchestrator of its own."""
    rows = [
        (id_, from_micros(at), f"0x{id_}", "FRA", "ai", "LLM" if id_ % 2 else None, None, 1.0, id_ / 8, 0.0)
        for id_, at in events.items()
    ]
    return sort_and_encode(
        pl.LazyFrame(rows, schema=EMPTY_EVENTS.cast({pl.Categorical: pl.String}).schema, orient="row")
    )


def contents(events: pl.DataFrame) -> dict[int, int]:
    """The times of events by their ids, none of which is there twice."""
    times = dict(zip(events["id"], events["event_time"].to_physical(), strict=True))
    assert len(times) == events.height
    return times


def between(events: dict[int, int], since: int, until: int) -> dict[int, int]:
    return {id_: at for id_, at in events.items() if since <= at <= until}


@dataclass(frozen=True)
class Piece:
    """What was read of the days before ``edge`` while all ids up to ``max_id`` were settled."""

    events: pl.DataFrame
    begin: int
    edge: int
    max_id: int


class Holder:
    """Who holds some of the table, with all that was in the table when it last looked."""

    def __init__(self) -> None:
        self.held = EventCache(settled_id=0, complete_after_id=0)
        self.seen: dict[int, int] = {}
        self.pieces: list[Piece] = []
        self.earlier: list[tuple[EventCache, dict[int, int]]] = []

    def became(self, held: EventCache) -> None:
        self.earlier.append((self.held, contents(self.held.window(-EVER, EVER))))
        self.held = held
        assert held.bytes == EVENT_BYTES * sum(
            part.height for part in (*held.days.values(), held.unmerged, held.unsettled)
        )

    def expected(self, since: int, until: int) -> dict[int, int]:
        inside = between(self.seen, since, until).items()
        return {id_: at for id_, at in inside if at >= self.held.since or id_ > self.held.settled_id}


class OneTable:
    """A table in which transactions insert events, and two who hold some of it."""

    def __init__(self) -> None:
        self.drawn = 0
        self.open: list[dict[int, int]] = []
        self.committed: dict[int, int] = {}
        self.holders = (Holder(), Holder())
        self.versions: dict[object, dict[int, int]] = {}

    def insert(self, times: list[int], at_once: bool) -> None:
        self.open.append(dict(enumerate(times, self.drawn + 1)))
        self.drawn += len(times)
        if at_once:
            self.committed |= self.open.pop()

    def end(self, which: int, kept: bool) -> None:
        if self.open:
            events = self.open.pop(which % len(self.open))
            self.committed |= events if kept else {}

    def refresh(self, holder: Holder, lag: int) -> None:
        held = holder.held
        settled = min((id_ for events in self.open for id_ in events), default=self.drawn + 1) - 1
        rows = {id_: at for id_, at in self.committed.items() if id_ > held.settled_id}
        holder.seen = dict(self.committed)
        holder.became(held.add_new_events(frame(rows), max(held.settled_id, settled - lag)))
        assert (holder.held.since, holder.held.complete_after_id) == (held.since, held.complete_after_id)

    def load(self, holder: Holder, begin: int, ever: bool, at_once: bool) -> None:
        """Reads a piece, which is taken in now or some time later."""
        held = holder.held
        edge = NEVER_MICROS if ever else held.since
        if begin < edge:
            events = {id_: at for id_, at in self.committed.items() if begin <= at < edge and id_ <= held.settled_id}
            holder.pieces.append(Piece(frame(events), begin, edge, held.settled_id))
            if at_once:
                self.take_in(holder)

    def take_in(self, holder: Holder) -> None:
        held = holder.held
        if holder.pieces:
            piece = holder.pieces.pop()
            # nothing between the piece and what is held was dropped since it was read
            if held.since <= piece.begin or (held.since <= piece.edge and held.complete_after_id <= piece.max_id):
                holder.became(held.backfill(partition_by_day(piece.events), piece.begin, piece.edge, piece.max_id))
                assert holder.held.since == min(held.since, piece.begin)

    def shrink(self, holder: Holder, limit: int, keep: int) -> None:
        held = holder.held
        holder.became(held.evict(limit * EVENT_BYTES, keep))
        now = holder.held
        assert held.since <= now.since <= max(held.since, keep // DAY_MICROS * DAY_MICROS)
        assert now.bytes <= limit * EVENT_BYTES or not any((day + 1) * DAY_MICROS <= keep for day in now.days)

    def sort_in(self, holder: Holder) -> None:
        holder.became(holder.held.merge())

    def ask(self, since: int, until: int) -> None:
        versions = []
        for holder in self.holders:
            held, whole = holder.held, between(holder.seen, since, until)
            assert contents(held.window(since, until)) == holder.expected(since, until)
            version = held.fingerprint(since, until)
            versions.append((held.settled_id, holder.seen, version))
            # of what is not held, a version tells only what the table had
            key = version if held.since <= since else (version, since, until)
            assert self.versions.setdefault(key, whole) == whole
        one, other = versions
        if one[:2] == other[:2] and max(holder.held.since for holder in self.holders) <= since <= until:
            assert one == other

    def end_of_all(self) -> None:
        for holder in self.holders:
            window = holder.held.window(-EVER, EVER)
            assert_frame_equal(window.sort("id"), frame(holder.expected(-EVER, EVER)).sort("id"))
            for earlier, window in holder.earlier:
                assert contents(earlier.window(-EVER, EVER)) == window


holder, flag = st.integers(0, 1), st.booleans()
times = st.lists(moments, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("insert"), times, flag),
    st.tuples(st.just("end"), st.integers(0, 9), flag),
    st.tuples(st.just("refresh"), holder, st.sampled_from([0, 0, 0, 1, 5])),
    st.tuples(st.just("load"), holder, midnights, flag, flag),
    st.tuples(st.just("take_in"), holder),
    st.tuples(st.just("shrink"), holder, st.integers(0, 12), moments),
    st.tuples(st.just("sort_in"), holder),
)


@given(times, st.lists(st.tuples(steps, windows, windows), min_size=10, max_size=40))
@settings(max_examples=75, deadline=None)
def test_every_window_has_what_the_table_has_whatever_was_done(
    first: list[int], history: list[tuple[tuple[Any, ...], *tuple[tuple[int, int], ...]]]
) -> None:
    table = OneTable()
    table.insert(first, at_once=True)
    for holder in table.holders:
        table.refresh(holder, lag=0)
        table.load(holder, DAY_MICROS, ever=False, at_once=True)
    for (step, *arguments), *asked in history:
        if step not in ("insert", "end"):
            arguments[0] = table.holders[arguments[0]]
        getattr(table, step)(*arguments)
        for window in asked:
            table.ask(*window)
    table.end_of_all()


def test_events_of_a_refresh_are_fresh_until_they_are_settled() -> None:
    rows = frame({1: 0, 2: -5, 3: 5})
    held = EventCache(settled_id=0, complete_after_id=0).add_new_events(rows, 1)
    assert (contents(held.unmerged), contents(held.unsettled)) == ({1: 0}, {2: -5, 3: 5})
    # the second was rolled back, or is somebody's who lost its place
    held = held.add_new_events(frame({3: 5}), 3)
    assert (contents(held.unmerged), contents(held.unsettled)) == ({1: 0, 3: 5}, {})


def test_a_refresh_without_an_event_takes_back_what_was_fresh() -> None:
    held = (
        EventCache(settled_id=0, complete_after_id=0)
        .add_new_events(frame({1: 0, 2: 0}), 1)
        .add_new_events(EMPTY_EVENTS, 2)
    )
    assert contents(held.unmerged) == {1: 0}
    assert (held.settled_id, held.unsettled.height) == (2, 0)


def test_many_recent_events_are_sorted_into_their_days() -> None:
    many = {id_: (id_ % 3 - 1) * DAY_MICROS for id_ in range(1, MAX_UNMERGED_EVENTS + 2)}
    few = dict(list(many.items())[:MAX_UNMERGED_EVENTS])
    assert EventCache(settled_id=0, complete_after_id=0).add_new_events(frame(few), MAX_UNMERGED_EVENTS).days == {}
    held = EventCache(settled_id=0, complete_after_id=0).add_new_events(frame(many), MAX_UNMERGED_EVENTS + 1)
    assert (sorted(held.days), held.unmerged.height) == ([-1, 0, 1], 0)
    assert contents(replace(held, since=-DAY_MICROS).window(-DAY_MICROS, DAY_MICROS)) == many


def test_a_piece_replaces_what_was_known_of_its_days_and_nothing_else() -> None:
    held = EventCache(settled_id=0, complete_after_id=0).add_new_events(
        frame({1: -DAY_MICROS, 2: -1, 3: 0, 4: DAY_MICROS - 1, 5: DAY_MICROS}), 5
    )
    # 3 was deleted and 4 changed its time since; 5 and what came after the piece was read stay
    piece = partition_by_day(frame({4: DAY_MICROS - 2}))
    held = held.add_new_events(frame({6: 7}), 6).backfill(piece, 0, DAY_MICROS, 5)
    assert held.since == 0
    assert contents(held.window(0, EVER)) == {4: DAY_MICROS - 2, 5: DAY_MICROS, 6: 7}
    assert contents(replace(held, since=-DAY_MICROS).window(-DAY_MICROS, EVER)) == {
        1: -DAY_MICROS,
        2: -1,
        4: DAY_MICROS - 2,
        5: DAY_MICROS,
        6: 7,
    }


def test_the_oldest_days_are_dropped_first_and_no_more_than_it_takes() -> None:
    events = {1: 0, 2: 1, 3: DAY_MICROS, 4: 3 * DAY_MICROS, 5: 4 * DAY_MICROS}
    held = EventCache(settled_id=5, complete_after_id=0).backfill(
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
        evict = held.evict(limit * EVENT_BYTES, NEVER_MICROS)
        assert evict.since == since
        assert contents(evict.window(-EVER, EVER)) == between(events, since, EVER)
    assert held.evict(5 * EVENT_BYTES, NEVER_MICROS) is held


@pytest.mark.parametrize(
    ("keep", "since"),
    [(DAY_MICROS, DAY_MICROS), (DAY_MICROS - 1, 0), (DAY_MICROS + 1, DAY_MICROS), (2 * DAY_MICROS, 2 * DAY_MICROS)],
)
def test_no_event_after_a_moment_is_dropped_however_little_memory_there_is(keep: int, since: int) -> None:
    events = {1: 0, 2: DAY_MICROS - 1, 3: DAY_MICROS, 4: 2 * DAY_MICROS - 1, 5: 2 * DAY_MICROS}
    held = EventCache(settled_id=5, complete_after_id=0).backfill(partition_by_day(frame(events)), 0, NEVER_MICROS, 5)
    assert contents(held.evict(0, keep).window(-EVER, EVER)) == between(events, since, EVER)


def test_what_is_not_settled_is_not_dropped() -> None:
    held = (
        EventCache(settled_id=1, complete_after_id=0)
        .backfill(partition_by_day(frame({1: 0})), 0, NEVER_MICROS, 1)
        .add_new_events(frame({2: 5, 3: -DAY_MICROS}), 1)
    )
    held = held.evict(0, NEVER_MICROS)
    assert contents(held.window(-EVER, EVER)) == {2: 5, 3: -DAY_MICROS}
    assert (held.since, held.complete_after_id, held.bytes) == (DAY_MICROS, 1, 2 * EVENT_BYTES)


def test_a_version_is_another_once_an_event_comes_or_leaves_the_window() -> None:
    held = EventCache(settled_id=3, complete_after_id=0).backfill(
        partition_by_day(frame({1: 10, 2: 20, 3: DAY_MICROS + 5})), 0, NEVER_MICROS, 3
    )
    version = held.fingerprint(5, 30)
    # no event lies between these ends
    assert {held.fingerprint(*window) for window in ((6, 30), (10, 20), (5, DAY_MICROS + 4))} == {version}
    moved = [held.fingerprint(*window) for window in ((11, 30), (5, 19), (21, 30), (5, DAY_MICROS + 5), (0, 9))]
    fresh, other = held.add_new_events(frame({4: 15}), 3), held.add_new_events(frame({5: 15}), 3)
    came = [events.fingerprint(5, 30) for events in (fresh, other, fresh.add_new_events(frame({4: 15}), 4))]
    assert len({version, *moved, *came}) == 1 + len(moved) + len(came)


def test_a_version_does_not_depend_on_the_order_in_which_events_were_read() -> None:
    versions = {
        EventCache(settled_id=0, complete_after_id=0)
        .add_new_events(frame(events), 0)
        .fingerprint(-DAY_MICROS, DAY_MICROS)
        for events in ({1: 5, 2: 5, 3: 0}, {3: 0, 2: 5, 1: 5}, {2: 5, 3: 0, 1: 5})
    }
    assert len(versions) == 1


def test_events_may_come_in_any_order_of_time() -> None:
    held = (
        EventCache(settled_id=0, complete_after_id=0, since=0)
        .add_new_events(frame({1: 50}), 1)
        .add_new_events(frame({2: 20}), 2)
    )
    held = held.add_new_events(frame({3: 30}), 3)
    assert contents(held.window(0, 40)) == contents(held.merge().window(0, 40)) == {2: 20, 3: 30}
    held = held.merge().add_new_events(frame({4: 10}), 4).add_new_events(frame({5: 60}), 5).merge()
    assert contents(held.window(0, 15)) == {4: 10}
    assert contents(held.window(55, DAY_MICROS)) == {5: 60}


def test_what_is_dropped_of_a_day_is_all_that_is_settled() -> None:
    held = (
        EventCache(settled_id=1, complete_after_id=0)
        .backfill(partition_by_day(frame({1: 0})), 0, NEVER_MICROS, 1)
        .add_new_events(frame({2: 5, 3: DAY_MICROS}), 3)
    )
    held = held.evict(2 * EVENT_BYTES, DAY_MICROS)
    assert (held.since, held.bytes) == (DAY_MICROS, EVENT_BYTES)


def test_text_takes_four_bytes_an_event_and_goes_with_that_of_other_frames() -> None:
    one, other = frame({1: 0}), frame({2: DAY_MICROS})
    assert {one.schema[name] for name in ("orchestrator", "region", "job_type", "pipeline", "model")} == {
        pl.Categorical()
    }
    assert one.schema == EMPTY_EVENTS.schema
    assert pl.concat([one, other])["orchestrator"].cast(pl.String).to_list() == ["0x1", "0x2"]


@given(moments)
def test_a_day_begins_at_its_midnight(at: int) -> None:
    ((day, events),) = partition_by_day(frame({1: at})).items()
    assert day * DAY_MICROS <= at < (day + 1) * DAY_MICROS
    assert contents(events) == {1: at}


def test_no_event_is_of_no_day() -> None:
    assert partition_by_day(EMPTY_EVENTS) == {}


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_its_microseconds(at: datetime) -> None:
    assert from_micros(to_micros(at)) == at


def test_never_is_after_the_last_moment() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert to_micros(last) < NEVER_MICROS
    assert from_micros(NEVER_MICROS) == from_micros(to_micros(last) + 1) == last
    assert from_micros(to_micros(last) - 1) == last - timedelta(microseconds=1)
