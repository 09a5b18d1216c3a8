"""All events of a table at some moment, as an immutable value. Each change returns a new one, which shares the frames.

An event is in exactly one of three parts:

- the base: the lake, mapped into memory, has the events with an id up to
  ``base_id``, but for those of days that were changed since;
- the days: events with an id up to ``base_id`` of days that the base does not
  have. They are read from the database when they are asked for;
- the recent events, with an id above ``base_id``, whatever their time.

Days and moments count from 1970, moments in microseconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from itertools import count

import polars as pl

from queries.sources.decoded import MappedEvents, SortedTimes, TextCategories
from queries.sources.live.days import (
    DAY_MICROS,
    DAYS_END,
    DayChunk,
    Span,
    common_days,
    join_spans,
    merge_days,
    moments_of,
    sort_events,
    spans_of,
    without_days,
)

EVENT_BYTES = 80
"""Memory that one event takes: fifteen columns, of which each text column takes four bytes."""
RUN_GROWTH = 4
"""Each run of recent events is more than so many times as long as the next one, so there are few of them."""
MAX_HISTORY = 1000
"""How many states of the table are known for which the days are known that were changed since."""

_epochs = count(1)


@dataclass(frozen=True, eq=False)
class LiveState:
    """The events of a table.

    - ``settled_id``: every event with an id up to this one is committed.
    - ``recent``: the settled recent events, in runs that are sorted by time.
    - ``unsettled``: the events with a higher id than ``settled_id``, sorted by time.
    - ``days`` and ``held``: the days that were read from the database: one
      frame for each that has events, sorted by time; and which were read.
    - ``changed_days``: the days that the base has not as they are now.
    - ``edited_days``: those of them that a reload found different, of which
      no lake can be expected to know.
    - ``history``: which days were changed after the table had these changes
      (the hash64 of DatabaseState.changes).
    - ``table_version``: which storage the table had, and its changes.
    - ``edit_count``: how often a reload found days different.
    - ``in_transition``: changed events are being read again.
    - ``epoch``: differs after ``base_id`` or the changed days do.
    """

    categories: TextCategories
    settled_id: int
    base_id: int
    base: MappedEvents | None = None
    recent: tuple[pl.DataFrame, ...] = ()
    unsettled: pl.DataFrame | None = None
    days: Mapping[int, pl.DataFrame] = field(default_factory=dict)
    held: tuple[Span, ...] = ()
    changed_days: frozenset[int] = frozenset()
    edited_days: frozenset[int] = frozenset()
    history: Mapping[int, frozenset[int]] = field(default_factory=dict)
    table_version: str = ""
    edit_count: int = 0
    in_transition: bool = False
    epoch: int = field(default_factory=lambda: next(_epochs))

    @property
    def event_count(self) -> int:
        """How many events are in this process's own memory."""
        return sum(frame.height for frame in (*self.days.values(), *self._recent_frames))

    @property
    def bytes(self) -> int:
        """About how much of this process's own memory they take."""
        return EVENT_BYTES * self.event_count

    @property
    def recent_count(self) -> int:
        """How many events have a higher id than ``base_id``."""
        return sum(frame.height for frame in self._recent_frames)

    @property
    def max_id(self) -> int:
        """The highest id above ``settled_id`` that there is, or ``settled_id``."""
        if self.unsettled is None or self.unsettled.is_empty():
            return self.settled_id
        highest: int = self.unsettled.select(pl.col("id").max()).item()
        return highest

    @cached_property
    def complete_since(self) -> int:
        """The moment from which on no day has to be read; after every moment where even the last one has to be."""
        missing = self.missing_days(-DAYS_END, DAYS_END)
        return missing[-1][1] * DAY_MICROS if missing else -DAYS_END * DAY_MICROS

    def missing(self, since: int, until: int) -> tuple[Span, ...]:
        """The days that have to be read for a window with since ≤ event_time ≤ until."""
        return self.missing_days(since // DAY_MICROS, until // DAY_MICROS + 1) if since <= until else ()

    def missing_days(self, first: int, end: int) -> tuple[Span, ...]:
        """The days from ``first`` up to ``end``, without it, that have to be read."""
        needed = ((first, end),) if self.base is None else common_days([(first, end)], self._changed_spans)
        return without_days(needed, self.held)

    def window(self, since: int, until: int) -> list[pl.DataFrame | pl.LazyFrame]:
        """The events with since ≤ event_time ≤ until but for those of missing days, without copying any."""
        if since > until:
            return []
        found: list[pl.DataFrame | pl.LazyFrame] = []
        if self.base is not None:
            for first, last in self._base_windows(since, until):
                found += self.base.window(first, last)
        first_day, last_day = since // DAY_MICROS, until // DAY_MICROS
        for day, frame in self.days.items():
            if first_day < day < last_day:
                found.append(frame)
            elif day in (first_day, last_day):
                found.append(self._times(frame).slice(frame, since, until))
        return found + [self._times(frame).slice(frame, since, until) for frame in self._recent_frames]

    def events_after(self, after_id: int, since: int, until: int) -> list[pl.DataFrame]:
        """The recent events with an id above ``after_id``, which is at least ``base_id``, of a window."""
        slices = (self._times(frame).slice(frame, since, until) for frame in self._recent_frames)
        return [events.filter(pl.col("id") > after_id) for events in slices]

    def version(self, since: int, until: int) -> str | None:
        """A text that is equal for two windows of one table only where they have the same events.

        It says which events exist and how many of them come after each end,
        so it is equal in all processes, however much each of them has in
        memory. None while changed events are being read again.
        """
        missing = self.missing(since, until)
        if self.in_transition or (missing and self.base is not None):
            return None
        prefix = f"{self.table_version}-{self.edit_count}-{self.settled_id}-{self._unsettled_hash}"
        counts = self._count_from(since, inclusive=True), self._count_from(until, inclusive=False)
        # only events in memory can be counted
        return f"{prefix}-{since}-{until}-window" if None in counts else f"{prefix}-{counts[0]}-{counts[1]}"

    def unsettled_gaps(self) -> list[tuple[int, int]]:
        """The ranges of ids above ``settled_id`` and below the highest one that no known event has."""
        known = pl.Series("id", [], pl.Int64) if self.unsettled is None else self.unsettled["id"]
        ids = pl.concat([pl.Series("id", [self.settled_id]), known]).sort()
        gaps = pl.DataFrame({"first": ids + 1, "last": ids.shift(-1) - 1}).filter(pl.col("first") <= pl.col("last"))
        return gaps.rows()

    def with_unsettled(self, events: pl.DataFrame, settled_id: int, *, keeps_unsettled: bool = False) -> "LiveState":
        """With ``events`` as all events whose id is above the present ``settled_id``, which advances.

        With ``keeps_unsettled``, as all such events that are not known yet.
        """
        if keeps_unsettled and self.unsettled is not None:
            events = sort_events(pl.concat([self.unsettled, events]))
        is_settled = pl.col("id") <= settled_id
        recent = _add_run(self.recent, events.filter(is_settled))
        return replace(self, settled_id=settled_id, recent=recent, unsettled=events.filter(~is_settled))

    def with_recent(self, events: pl.DataFrame, settled_id: int) -> "LiveState":
        """With ``events``, of which those with an id above ``base_id`` are all that there are."""
        # the base may have been given up since they were read
        return replace(self, recent=()).with_unsettled(events.filter(pl.col("id") > self.base_id), settled_id)

    def with_base(self, base: MappedEvents, events: pl.DataFrame | None = None) -> "LiveState":
        """With another version of the lake as the base, whose changes the history has.

        ``events`` are all events that the base lacks. Without them, the recent
        events are, and ``base_id`` is at most the base's watermark.
        """
        watermark = base.snapshot.watermark
        settled_id = max(self.settled_id, watermark)
        if events is None:
            known = [base.categories.encode(frame.lazy()) for frame in (base.categories.empty, *self._recent_frames)]
            events = pl.concat(known).filter(pl.col("id") > watermark).collect()
        state = LiveState(
            base.categories,
            settled_id,
            watermark,
            base,
            changed_days=self.history[base.snapshot.changes] | self.edited_days,
            edited_days=self.edited_days,
            history=self.history,
            table_version=self.table_version,
            edit_count=self.edit_count,
            in_transition=self.in_transition,
        )
        return state.with_recent(sort_events(events), settled_id)

    def without_base(self) -> "LiveState":
        """Without a base: all settled events are read from the database again when they are asked for."""
        return replace(
            self,
            base=None,
            base_id=self.settled_id,
            recent=(),
            changed_days=frozenset(),
            days={},
            held=(),
            epoch=next(_epochs),
        )

    def with_days(self, days: Mapping[int, pl.DataFrame], span: Span) -> "LiveState":
        """With the events of a span, which were read in this epoch, by the day."""
        return replace(self, days={**self.days, **days}, held=join_spans([*self.held, span]))

    def with_chunks(self, chunks: Iterable[DayChunk]) -> "LiveState":
        """With several chunks of days."""
        state = self
        for chunk in chunks:
            state = state.with_days(chunk.days, chunk.span)
        return state

    def without_days(self, removed: Iterable[Span]) -> "LiveState":
        """Without the held days of some spans."""
        held = without_days(self.held, removed)
        gone = without_days(self.held, held)
        days = {day: frame for day, frame in self.days.items() if not _has_day(gone, day)}
        return replace(self, days=days, held=held)

    def with_changed_days(self, changed: Iterable[int]) -> "LiveState":
        """With these days as changed: they are read again when they are asked for, and so must recent events be."""
        days = frozenset(changed)
        state = self._merged() if self.base is None else replace(self, changed_days=self.changed_days | days)
        history = {changes: later | days for changes, later in self.history.items()}
        return replace(state.without_days(spans_of(days)), history=history, in_transition=True, epoch=next(_epochs))

    def with_edited_days(self, edited: Iterable[int]) -> "LiveState":
        """As ``with_changed_days``, for changes that the database did not tell of."""
        days = frozenset(edited)
        state = self.with_changed_days(days)
        return replace(state, edited_days=self.edited_days | days, edit_count=self.edit_count + 1)

    def with_all_changed(self, edit_count: int) -> "LiveState":
        """With nothing known of what was changed, so everything has to be read again."""
        state = self.without_base()
        return replace(state, history={}, edited_days=frozenset(), edit_count=edit_count, in_transition=True)

    def with_table_version(self, table_version: str, changes: int) -> "LiveState":
        """With all changes read that the table has by now, whose hash64 is ``changes``."""
        history = dict(list(self.history.items())[-MAX_HISTORY:])
        history.setdefault(changes, frozenset())
        return replace(self, table_version=table_version, history=history, in_transition=False)

    def evict(self, max_bytes: int, keep_since: int) -> "LiveState":
        """Without the oldest days that end before ``keep_since``, as many as it takes to fit into ``max_bytes``."""
        if self.bytes <= max_bytes or not any((day + 1) * DAY_MICROS <= keep_since for day in self._occupied_days):
            return self
        state = self._merged() if self.base is None else self
        size, end = state.bytes, -DAYS_END
        for day in sorted(state.days):
            if size <= max_bytes or (day + 1) * DAY_MICROS > keep_since:
                break
            size -= EVENT_BYTES * state.days[day].height
            end = day + 1
        return state.without_days([(-DAYS_END, end)])

    def _merged(self) -> "LiveState":
        """With the recent events moved into the held days. Those of other days are read when they are asked for."""
        if not self.recent:
            return replace(self, base_id=self.settled_id, epoch=next(_epochs))
        events = pl.concat(self.recent)
        day = pl.col("event_time").to_physical() // DAY_MICROS
        is_held = pl.any_horizontal(pl.lit(False), *((day >= start) & (day < end) for start, end in self.held))
        days = merge_days(self.days, events.filter(is_held))
        return replace(self, base_id=self.settled_id, recent=(), days=days, epoch=next(_epochs))

    @cached_property
    def _recent_frames(self) -> tuple[pl.DataFrame, ...]:
        return self.recent if self.unsettled is None else (*self.recent, self.unsettled)

    @property
    def _occupied_days(self) -> Iterator[int]:
        yield from self.days
        for frame in self.recent:
            yield frame["event_time"].to_physical()[0] // DAY_MICROS

    @cached_property
    def _changed_spans(self) -> tuple[Span, ...]:
        return spans_of(self.changed_days)

    def _base_windows(self, since: int, until: int) -> Iterator[tuple[int, int]]:
        """The parts of a window that come from the base, as moments."""
        for span in without_days([(since // DAY_MICROS, until // DAY_MICROS + 1)], self._changed_spans):
            first, last = moments_of(span)
            yield max(first, since), min(last, until)

    def _count_from(self, moment: int, *, inclusive: bool) -> int | None:
        """How many events are at the moment or later, or later only. None where not all of them are in memory."""
        if self.missing_days(moment // DAY_MICROS, DAYS_END):
            return None
        this_day = moment // DAY_MICROS
        later = sum(frame.height for day, frame in self.days.items() if day > this_day)
        frames = [*self._recent_frames, *([self.days[this_day]] if this_day in self.days else [])]
        later += sum(self._times(frame).count_from(moment, inclusive=inclusive) for frame in frames)
        if self.base is None:
            return later
        in_base = self.base.count_from(moment, inclusive=inclusive)
        for span in common_days([(this_day, DAYS_END)], self._changed_spans):
            first, last = moments_of(span)
            includes_first = inclusive or first > moment
            from_first = self.base.count_from(max(first, moment), inclusive=includes_first)
            after_last = self.base.count_from(last, inclusive=False)
            if in_base is None or from_first is None or after_last is None:
                return None
            in_base -= from_first - after_last
        return None if in_base is None else later + in_base

    @cached_property
    def _unsettled_hash(self) -> str:
        if self.unsettled is None or self.unsettled.is_empty():
            return ""
        ids = self.unsettled["id"].sort().rechunk().to_arrow()
        return blake2b(ids.cast("int64").buffers()[1] or b"", digest_size=8).hexdigest()

    def _times(self, frame: pl.DataFrame) -> SortedTimes:
        """The times of one of the state's own frames."""
        if (times := self._times_by_id.get(id(frame))) is None:
            times = self._times_by_id[id(frame)] = SortedTimes(frame)
        return times

    @cached_property
    def _times_by_id(self) -> dict[int, SortedTimes]:
        # the state keeps its frames, so that no other one gets the id of one of them
        return {}


def _add_run(runs: tuple[pl.DataFrame, ...], events: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
    """The runs with one more, and short ones joined."""
    if events.is_empty():
        return runs
    joined = [*runs, events]
    while len(joined) > 1 and joined[-2].height <= RUN_GROWTH * joined[-1].height:
        last = joined.pop()
        joined[-1] = sort_events(pl.concat([joined[-1], last]))
    return tuple(joined)


def _has_day(spans: Iterable[Span], day: int) -> bool:
    return any(start <= day < end for start, end in spans)
