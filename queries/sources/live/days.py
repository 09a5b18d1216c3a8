"""Spans of days, and frames of events by the day. Days and moments count from 1970, moments in microseconds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

import polars as pl

from queries.times import MAX_TIME, to_micros

DAY_MICROS = 86_400_000_000
DAYS_END = to_micros(MAX_TIME) // DAY_MICROS + 1
"""The day after the last one."""

Span = tuple[int, int]
"""The days from the first one up to the second one, which is not included."""


def spans_of(days: Iterable[int]) -> tuple[Span, ...]:
    """The spans that these days make, in order."""
    return join_spans((day, day + 1) for day in days)


def join_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same days in as few spans as possible, in order."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        elif start < end:
            joined.append((start, end))
    return tuple(joined)


def common_days(one: Iterable[Span], other: Iterable[Span]) -> tuple[Span, ...]:
    """The days that are in both."""
    others = tuple(other)
    return join_spans((max(a, c), min(b, d)) for a, b in one for c, d in others if max(a, c) < min(b, d))


def without_days(spans: Iterable[Span], removed: Iterable[Span]) -> tuple[Span, ...]:
    """The days of ``spans`` that are not in ``removed``."""
    left = join_spans(spans)
    for start, end in join_spans(removed):
        left = tuple(
            piece
            for first, last in left
            for piece in ((first, min(last, start)), (max(first, end), last))
            if piece[0] < piece[1]
        )
    return left


def moments_of(span: Span) -> tuple[int, int]:
    """The first and the last moment of a span."""
    return span[0] * DAY_MICROS, span[1] * DAY_MICROS - 1


def sort_events(events: pl.DataFrame) -> pl.DataFrame:
    """The events in the order of time, and of their ids, so that equal events make equal frames."""
    return events.sort("event_time", "id").rechunk()


def partition_by_day(events: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """Splits events that are sorted by time into one frame per day with events."""
    day = pl.col("event_time").to_physical() // DAY_MICROS
    days = events.with_columns(day=day).partition_by("day", maintain_order=True, include_key=False, as_dict=True)
    return {day: frame.rechunk() for (day,), frame in days.items()}


def merge_days(days: Mapping[int, pl.DataFrame], events: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """The days with more events."""
    merged = dict(days)
    for day, frame in partition_by_day(sort_events(events)).items():
        merged[day] = sort_events(pl.concat([merged[day], frame])) if day in merged else frame
    return merged


class DayChunk:
    """The events of a span of days: a frame for each day that has any."""

    def __init__(self, days: Mapping[int, pl.DataFrame], span: Span) -> None:
        self.days = days
        self.span = span


class SortedTimes:
    """The times of frames that are sorted by event_time. Looking one up reads a few values and copies none."""

    def __init__(self) -> None:
        # the frame is kept, so that no other one gets its id
        self._views: dict[int, tuple[pl.DataFrame, memoryview]] = {}

    def slice(self, frame: pl.DataFrame, since: int, until: int) -> pl.DataFrame:
        """The events with since ≤ event_time ≤ until, without a copy."""
        times = self._of(frame)
        start, end = bisect_left(times, since), bisect_right(times, until)
        return frame.slice(start, max(0, end - start))

    def count_from(self, frame: pl.DataFrame, moment: int, *, inclusive: bool) -> int:
        """How many events are at the moment or later, or later only."""
        return frame.height - (bisect_left if inclusive else bisect_right)(self._of(frame), moment)

    def _of(self, frame: pl.DataFrame) -> memoryview:
        # bisecting a memoryview is far faster than asking Polars for each value
        if (found := self._views.get(id(frame))) is None:
            column = frame["event_time"].to_physical().to_arrow()
            values = memoryview(column.buffers()[1] or b"").cast("q")
            found = self._views[id(frame)] = frame, values[column.offset : column.offset + len(column)]
        return found[1]
