"""Spans of days, and frames of events by the day. Days and moments count from 1970, moments in microseconds."""

from collections.abc import Iterable, Mapping

import polars as pl

from queries.sources.decoded import TextCategories
from queries.sources.parquet_files import collect
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


def collect_sorted(events: pl.LazyFrame, categories: TextCategories) -> pl.DataFrame:
    """The events in this order, with text of the categories. Raises as ``collect`` does."""
    return sort_events(collect(categories.encode(events)))


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
