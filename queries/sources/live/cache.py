"""Events held in memory, as a value: every change gives a new one that shares what stays.

Moments are microseconds since 1970, as the frames have them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import narwhals.stable.v2 as nw
import polars as pl

from queries.schema import EVENT_SCHEMA
from queries.sources.lake import collect

DAY = 86_400_000_000
"""Microseconds."""
NEVER = 2**62
"""A moment after every event."""
EVENT_BYTES = 60
"""What one event takes in memory: ten columns, of which text is four bytes each."""
UNSORTED = 4096
"""How many new events are kept aside before they are sorted into their days."""

Place = Callable[[memoryview, int], int]

_TEXT = [name for name, dtype in EVENT_SCHEMA.items() if dtype == nw.String()]


def categorical(events: pl.LazyFrame) -> pl.LazyFrame:
    """The events with their text as Categorical."""
    return events.with_columns(pl.col(_TEXT).cast(pl.Categorical))


def sort_and_encode(events: pl.LazyFrame) -> pl.DataFrame:
    """The events by time, with their text as Categorical."""
    return _sorted(collect(categorical(events)))


def _sorted(events: pl.DataFrame) -> pl.DataFrame:
    # by id as well, so that the same events are the same frame
    return events.sort("event_time", "id").rechunk()


NONE = sort_and_encode(
    nw.from_dict({name: [] for name in EVENT_SCHEMA}, schema=EVENT_SCHEMA, backend="polars").to_native().lazy()
)
"""No event."""


@dataclass(frozen=True, eq=False)
class EventCache:
    """The events from ``since`` on, up to now.

    ``days`` are frames sorted by time, by days since 1970; ``recent`` are
    events that are not sorted into them yet, and ``fresh`` those with an id
    above ``settled``, both sorted by time too. Those with an id above
    ``floor`` are held whatever their time. ``era`` tells which table they are
    of and which changes of it have been seen, and ``edits`` how often others
    have been.
    """

    settled: int
    floor: int
    era: str = ""
    edits: int = 0
    since: int = NEVER
    days: Mapping[int, pl.DataFrame] = field(default_factory=dict)
    recent: pl.DataFrame = field(default_factory=lambda: NONE)
    fresh: pl.DataFrame = field(default_factory=lambda: NONE)

    @property
    def bytes(self) -> int:
        """What the events take in memory, nearly."""
        return EVENT_BYTES * sum(frame.height for frame in self._frames())

    def window(self, since: int, until: int) -> pl.DataFrame:
        """The events with since ≤ event_time ≤ until, without a copy of any.

        Of what is not held, before ``self.since``, it has those whose id is
        above ``settled``.
        """
        held = max(since, self.since)
        first, last = held // DAY, until // DAY
        whole = [frame for day, frame in self.days.items() if first < day < last]
        cut = [self.days[day] for day in {first, last} if day in self.days]
        slices = [self._slice(frame, held, until) for frame in (*cut, self.recent)]
        return pl.concat([NONE, *whole, *slices, self._slice(self.fresh, since, until)], rechunk=False)

    def events_after(self, watermark: int, since: int, until: int) -> pl.DataFrame:
        """The events with an id above the watermark and since ≤ event_time ≤ until.

        All of them, where the watermark is not below ``floor``.
        """
        time = pl.col("event_time").to_physical()
        wanted = (pl.col("id") > watermark) & time.is_between(since, until)
        return pl.concat([NONE, *(frame.filter(wanted) for frame in self._frames())])

    def fingerprint(self, since: int, until: int) -> str:
        """Equal for two windows of the same table only where they have the same events.

        It tells which events there are at all, and how many of them come
        after each end; how far back they are held does not change it.
        """
        ids = self.fresh["id"].sort().to_list()
        unsettled = blake2b(repr(ids).encode(), digest_size=8).hexdigest() if ids else ""
        counts = f"{self._from(since, bisect_left)}-{self._from(until, bisect_right)}"
        return f"{self.era}-{self.edits}-{self.settled}-{unsettled}-{counts}"

    def refreshed(self, rows: pl.DataFrame, settled: int) -> "EventCache":
        """With all events above the former ``settled`` as they are now."""
        if rows.is_empty():
            return replace(self, settled=settled, fresh=NONE)
        fixed = pl.col("id") <= settled
        recent = _sorted(pl.concat([self.recent, rows.filter(fixed)]))
        held = replace(self, settled=settled, recent=recent, fresh=rows.filter(~fixed))
        return held.sorted_in() if recent.height > UNSORTED else held

    def sorted_in(self) -> "EventCache":
        """With the recent events in their days."""
        days = dict(self.days)
        for day, events in by_day(self.recent).items():
            days[day] = _merged(days[day], events) if day in days else events
        return replace(self, days=days, recent=NONE)

    def backfill(self, piece: Mapping[int, pl.DataFrame], since: int, until: int, max_id: int) -> "EventCache":
        """With these days as all there is between two midnights and has an id of at most ``max_id``."""
        held = self.sorted_in()
        first, last = since // DAY, until // DAY
        later = {day: _later(frame, max_id) for day, frame in held.days.items() if first <= day < last}
        days = {day: frame for day, frame in held.days.items() if day not in later} | dict(piece)
        for day, events in later.items():
            if events.height:
                days[day] = _merged(days[day], events) if day in days else events
        known = range(max(first, self.since // DAY), last)
        edited = any(
            not days.get(day, NONE).equals(held.days.get(day, NONE))
            for day in days.keys() | held.days.keys()
            if day in known
        )
        return replace(held, days=days, since=min(since, self.since), edits=self.edits + edited)

    def evict(self, limit: int, keep: int) -> "EventCache":
        """Without the oldest days before ``keep``, as far as it takes to get down to ``limit`` bytes."""
        size = self.bytes
        if size <= limit or not any((day + 1) * DAY <= keep for day in self.days):
            return self
        held = self.sorted_in()
        days, since = dict(held.days), held.since
        for day in sorted(days):
            if size <= limit or (day + 1) * DAY > keep:
                break
            size -= EVENT_BYTES * days.pop(day).height
            since = max(since, (day + 1) * DAY)
        return replace(held, days=days, since=since, floor=held.settled)

    def _frames(self) -> Iterable[pl.DataFrame]:
        return (*self.days.values(), self.recent, self.fresh)

    def _from(self, moment: int, place: Place) -> int:
        """How many held events are at that moment or later (bisect_left), or later (bisect_right)."""
        this = moment // DAY
        later = sum(frame.height for day, frame in self.days.items() if day > this)
        cut = [self.recent, self.fresh, *([self.days[this]] if this in self.days else [])]
        return later + sum(frame.height - place(self._times(frame), moment) for frame in cut)

    def _slice(self, frame: pl.DataFrame, since: int, until: int) -> pl.DataFrame:
        first, end = bisect_left(self._times(frame), since), bisect_right(self._times(frame), until)
        return frame.slice(first, max(0, end - first))

    def _times(self, frame: pl.DataFrame) -> memoryview:
        """The event_time column of one of its frames."""
        # far quicker than to ask Polars for each place
        if (times := self._views.get(id(frame))) is None:
            column = frame["event_time"].to_physical().to_arrow()
            values = memoryview(column.buffers()[1] or b"").cast("q")
            times = self._views[id(frame)] = values[column.offset : column.offset + len(column)]
        return times

    @cached_property
    def _views(self) -> dict[int, memoryview]:
        return {}


def by_day(events: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Events sorted by time as one frame per day, by days since 1970."""
    day = pl.col("event_time").to_physical() // DAY
    days = events.with_columns(day=day).partition_by("day", maintain_order=True, include_key=False, as_dict=True)
    return {day: frame.rechunk() for (day,), frame in days.items()}


def _later(frame: pl.DataFrame, max_id: int) -> pl.DataFrame:
    return frame.filter(pl.col("id") > max_id)


def _merged(day: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return _sorted(pl.concat([day, events]))
