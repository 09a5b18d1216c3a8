"""Events in memory as an immutable value. Each change returns a new cache that shares the frames that stay.

Moments are microseconds since 1970, as in the frames.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import narwhals.stable.v2 as nw
import polars as pl

from queries.schema import EVENT_SCHEMA
from queries.sources.parquet_files import collect
from queries.sources.text_encoding import encode_text

DAY_MICROS = 86_400_000_000
NEVER_MICROS = 2**62
"""A moment after every event."""
EVENT_BYTES = 80
"""Memory that one event takes: fifteen columns, of which each text column takes four bytes."""
MAX_UNMERGED_EVENTS = 4096
"""New events are merged into their days once there are more of them than this."""

Bisect = Callable[[memoryview, int], int]


def sort_and_encode(events: pl.LazyFrame) -> pl.DataFrame:
    """Collects events, sorts them by time and casts their text to Categorical. Raises as ``collect`` does."""
    return _sort(collect(encode_text(events)))


def _sort(events: pl.DataFrame) -> pl.DataFrame:
    # also by id, so that equal events make equal frames
    return events.sort("event_time", "id").rechunk()


EMPTY_EVENTS = sort_and_encode(
    nw.from_dict({name: [] for name in EVENT_SCHEMA}, schema=EVENT_SCHEMA, backend="polars").to_native().lazy()
)


@dataclass(frozen=True, eq=False)
class EventCache:
    """The events from ``since`` until now, and some older ones.

    - ``settled_id``: every event with an id up to this one is committed.
    - ``days``: settled events by days since 1970, each day a frame sorted by time.
    - ``unmerged``: settled events that are not in ``days`` yet, sorted by time.
    - ``unsettled``: the events with a higher id than ``settled_id``, sorted by time.
    - ``complete_after_id``: events with a higher id are in the cache whatever their time.
    - ``table_version``: which storage the table had, and its change counters when it was last read as a whole.
    - ``edit_count``: how often a read found days different from what the cache had.
    - ``transition``: while changed days are read again, a text that no other process has; else empty.
    """

    settled_id: int
    complete_after_id: int
    table_version: str = ""
    edit_count: int = 0
    transition: str = ""
    since: int = NEVER_MICROS
    days: Mapping[int, pl.DataFrame] = field(default_factory=dict)
    unmerged: pl.DataFrame = field(default_factory=lambda: EMPTY_EVENTS)
    unsettled: pl.DataFrame = field(default_factory=lambda: EMPTY_EVENTS)

    @property
    def bytes(self) -> int:
        """About how much memory the events take."""
        return EVENT_BYTES * self.event_count

    @property
    def event_count(self) -> int:
        """How many events it has."""
        return sum(frame.height for frame in self._frames())

    def window(self, since: int, until: int) -> pl.DataFrame:
        """The events with since ≤ event_time ≤ until, without copying any.

        Before ``self.since`` it has only the unsettled events.
        """
        cached_since = max(since, self.since)
        first, last = cached_since // DAY_MICROS, until // DAY_MICROS
        whole_days = [frame for day, frame in self.days.items() if first < day < last]
        end_days = [self.days[day] for day in {first, last} if day in self.days]
        slices = [self._slice(frame, cached_since, until) for frame in (*end_days, self.unmerged)]
        unsettled = self._slice(self.unsettled, since, until)
        return pl.concat([EMPTY_EVENTS, *whole_days, *slices, unsettled], rechunk=False)

    def events_after(self, after_id: int, since: int, until: int) -> pl.DataFrame:
        """The cached events with an id above ``after_id`` and since ≤ event_time ≤ until.

        These are all such events where after_id ≥ ``complete_after_id``.
        """
        time = pl.col("event_time").to_physical()
        matches = (pl.col("id") > after_id) & time.is_between(since, until)
        return pl.concat([EMPTY_EVENTS, *(frame.filter(matches) for frame in self._frames())])

    def fingerprint(self, since: int, until: int) -> str:
        """A text that is equal for two windows of one table only where they have the same events.

        It says which events exist and how many of them come after each end.
        It does not depend on how far back the cache reaches.
        """
        counts = f"{self._count_from(since, bisect_left)}-{self._count_from(until, bisect_right)}"
        edits = f"{self.edit_count}{self.transition}"
        return f"{self.table_version}-{edits}-{self.settled_id}-{self._unsettled_hash}-{counts}"

    @property
    def max_id(self) -> int:
        """The highest id above ``settled_id`` that the cache has, or ``settled_id``."""
        return self.settled_id if self.unsettled.is_empty() else self.unsettled.select(pl.col("id").max()).item()

    def unsettled_gaps(self) -> list[tuple[int, int]]:
        """The ranges of ids above ``settled_id`` and below the highest one in the cache that the cache lacks."""
        ids = pl.concat([pl.Series("id", [self.settled_id]), self.unsettled["id"]]).sort()
        gaps = pl.DataFrame({"first": ids + 1, "last": ids.shift(-1) - 1}).filter(pl.col("first") <= pl.col("last"))
        return gaps.rows()

    def add_new_events(self, events: pl.DataFrame, settled_id: int, *, keeps_unsettled: bool = False) -> "EventCache":
        """With ``events`` as all events whose id is above the present ``settled_id``, which advances.

        With ``keeps_unsettled``, as all such events that the cache does not have.
        """
        if keeps_unsettled:
            events = _sort(pl.concat([self.unsettled, events]))
        if events.is_empty():
            return replace(self, settled_id=settled_id, unsettled=EMPTY_EVENTS)
        is_settled = pl.col("id") <= settled_id
        unmerged = _sort(pl.concat([self.unmerged, events.filter(is_settled)]))
        cache = replace(self, settled_id=settled_id, unmerged=unmerged, unsettled=events.filter(~is_settled))
        return cache.merge() if unmerged.height > MAX_UNMERGED_EVENTS else cache

    def merge(self) -> "EventCache":
        """With the unmerged events moved into their days."""
        days = dict(self.days)
        for day, events in partition_by_day(self.unmerged).items():
            days[day] = _merge_day(days[day], events) if day in days else events
        return replace(self, days=days, unmerged=EMPTY_EVENTS)

    def backfill(self, chunk: Mapping[int, pl.DataFrame], since: int, until: int, max_id: int) -> "EventCache":
        """With ``chunk`` as all events between two midnights whose id is at most ``max_id``."""
        cache = self.merge()
        first, last = since // DAY_MICROS, until // DAY_MICROS
        newer = {day: frame.filter(pl.col("id") > max_id) for day, frame in cache.days.items() if first <= day < last}
        days = {day: frame for day, frame in cache.days.items() if day not in newer} | dict(chunk)
        for day, events in newer.items():
            if events.height:
                days[day] = _merge_day(days[day], events) if day in days else events
        cached_days = range(max(first, self.since // DAY_MICROS), last)
        edited = any(
            not days.get(day, EMPTY_EVENTS).equals(cache.days.get(day, EMPTY_EVENTS))
            for day in days.keys() | cache.days.keys()
            if day in cached_days
        )
        return replace(cache, days=days, since=min(since, self.since), edit_count=self.edit_count + edited)

    def evict(self, max_bytes: int, keep_since: int) -> "EventCache":
        """Without the oldest days that end before ``keep_since``, as many as it takes to fit into ``max_bytes``."""
        size = self.bytes
        if size <= max_bytes or not any((day + 1) * DAY_MICROS <= keep_since for day in self.days):
            return self
        cache = self.merge()
        days, since = dict(cache.days), cache.since
        for day in sorted(days):
            if size <= max_bytes or (day + 1) * DAY_MICROS > keep_since:
                break
            size -= EVENT_BYTES * days.pop(day).height
            since = max(since, (day + 1) * DAY_MICROS)
        return replace(cache, days=days, since=since, complete_after_id=cache.settled_id)

    def _frames(self) -> Iterable[pl.DataFrame]:
        return (*self.days.values(), self.unmerged, self.unsettled)

    def _count_from(self, moment: int, bisect: Bisect) -> int:
        """How many cached events are at the moment or later (bisect_left), or later (bisect_right)."""
        this_day = moment // DAY_MICROS
        later = sum(frame.height for day, frame in self.days.items() if day > this_day)
        frames = [self.unmerged, self.unsettled, *([self.days[this_day]] if this_day in self.days else [])]
        return later + sum(frame.height - bisect(self._times(frame), moment) for frame in frames)

    def _slice(self, frame: pl.DataFrame, since: int, until: int) -> pl.DataFrame:
        start, end = bisect_left(self._times(frame), since), bisect_right(self._times(frame), until)
        return frame.slice(start, max(0, end - start))

    def _times(self, frame: pl.DataFrame) -> memoryview:
        """The event_time column of one of the cache's frames."""
        # bisecting a memoryview is far faster than asking Polars for each value
        if (times := self._time_views.get(id(frame))) is None:
            column = frame["event_time"].to_physical().to_arrow()
            values = memoryview(column.buffers()[1] or b"").cast("q")
            times = self._time_views[id(frame)] = values[column.offset : column.offset + len(column)]
        return times

    @cached_property
    def _unsettled_hash(self) -> str:
        if self.unsettled.is_empty():
            return ""
        ids = self.unsettled["id"].sort().rechunk().to_arrow()
        return blake2b(ids.cast("int64").buffers()[1] or b"", digest_size=8).hexdigest()

    @cached_property
    def _time_views(self) -> dict[int, memoryview]:
        return {}


def partition_by_day(events: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Splits events that are sorted by time into one frame per day, by days since 1970."""
    day = pl.col("event_time").to_physical() // DAY_MICROS
    days = events.with_columns(day=day).partition_by("day", maintain_order=True, include_key=False, as_dict=True)
    return {day: frame.rechunk() for (day,), frame in days.items()}


def _merge_day(day: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return _sort(pl.concat([day, events]))
