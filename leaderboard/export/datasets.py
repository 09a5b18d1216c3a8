"""The datasets that can be exported, read as a series of frames, so that little is in memory at a time.

The same events give the same frames, no matter when they are read, and whether from the database or the lake.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Generic, TypeVar

import narwhals.stable.v2 as nw
import polars as pl

from leaderboard.storage.table_formats import CHUNK_ROWS
from queries import (
    AI,
    FORMULA_1,
    RESULT_COLUMNS,
    TRANSCODING,
    EventFilter,
    Formula,
    HybridEvents,
    collect,
    leave_out,
    score_history,
)
from queries.times import MICROSECOND, day_bounds

FIRST_SPAN, SHORTEST_SPAN = timedelta(hours=6), timedelta(minutes=1)
"""Length of the time whose events are read in one query: at first, and at least."""

Frames = Iterator[pl.DataFrame]
Source = TypeVar("Source")


@dataclass(frozen=True)
class Dataset(Generic[Source]):
    """What is exported of a window (since ≤ event_time ≤ until).

    ``read_frames`` yields at least one frame, all of the same columns. With
    ``whole_window`` a row sums up the whole window; otherwise the rows of
    several days are the rows of each day, one after another. With ``by_day``
    a row sums up a day, so that only whole days make sense.
    """

    name: str
    read_frames: Callable[[Source, datetime, datetime, int], Frames]
    whole_window: bool = False
    by_day: bool = False

    def read(self, source: Source, since: datetime, until: datetime, *, chunk_rows: int = CHUNK_ROWS) -> Frames:
        """The frames of a window; events come in frames of about ``chunk_rows`` rows."""
        return self.read_frames(source, since, until, chunk_rows)

    def read_days(self, source: Source, days: Sequence[date]) -> Iterator[tuple[date, Frames]]:
        """The frames of each of these UTC days, which are in order."""
        for day in days:
            yield day, self.read(source, *day_bounds(day))


def _read_events(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
    """The columns of EVENT_SCHEMA, sorted by event_time and id."""
    return map(_decode_categories, _read_chunks(source.window, since, until, chunk_rows))


def _read_raw_results(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
    """RESULT_COLUMNS, with payload (String): the result as posted, as JSON. Sorted by event_time and id."""
    return _read_chunks(lambda first, last: source.rows(first, last).select(RESULT_COLUMNS), since, until, chunk_rows)


EVENTS = Dataset("events", _read_events)
RAW_RESULTS = Dataset("raw", _read_raw_results)

FORMULA_COLUMN = "formula"
"""The column of scores that says which formula they are by."""
FORMULA_OF_OLDER_RELEASES = FORMULA_1.name
"""The formula of exported scores without that column."""

_MOMENT = pl.Datetime("us", "UTC")


def window_scores(formula: Formula) -> Dataset[HybridEvents]:
    """score_history of the whole window as one interval, with formula (String), since and until instead of bucket."""

    def read_scores(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
        events = _read_scored_events(source, since, until, chunk_rows, formula)
        yield label_window(_collect_exactly(histories(events.lazy(), formula)), since, until, formula)

    return Dataset(scores_name(formula), read_scores, whole_window=True)


def daily_scores(formula: Formula) -> Dataset[HybridEvents]:
    """score_history by day, with formula (String) and day (Date) instead of bucket."""

    def read_scores(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
        events = _read_scored_events(source, since, until, chunk_rows, formula)
        yield label_days(_collect_exactly(histories(events.lazy(), formula, by_day=True)), formula)

    return Dataset(scores_name(formula), read_scores, by_day=True)


def histories(events: Any, formula: Formula, *, by_day: bool = False) -> list[Any]:
    """score_history of the events, a frame of any engine but Polars' eager one, for each job type.

    The whole time is one bucket unless it is ``by_day``.
    """
    # a constant that Spark does not take for the number of a column
    bucket = nw.col("event_time").dt.truncate("1d") if by_day else nw.lit("all")
    bucketed = nw.from_native(events).with_columns(bucket=bucket).to_native()
    filters = (EventFilter(job_type=job_type) for job_type in (TRANSCODING, AI))
    return [score_history(bucketed, event_filter, interval=None, formula=formula) for event_filter in filters]


def label_window(scores: pl.DataFrame, since: datetime, until: datetime, formula: Formula) -> pl.DataFrame:
    """``histories`` as the rows of ``window_scores``."""
    bounds = (pl.lit(since, _MOMENT).alias("since"), pl.lit(until, _MOMENT).alias("until"))
    return scores.select(_label(formula), *bounds, pl.exclude("bucket"))


def label_days(scores: pl.DataFrame, formula: Formula) -> pl.DataFrame:
    """``histories`` by day as the rows of ``daily_scores``."""
    return scores.select(_label(formula), pl.col("bucket").dt.date().alias("day"), pl.exclude("bucket"))


def formula_label(formula: Formula) -> str:
    """The formula in a row of scores: its name and the options of the request, such as ``2 busy=ignore``."""
    return f"{formula.name} busy=ignore" if formula.ignores_busy else formula.name


def scores_name(formula: Formula) -> str:
    """What messages call the scores."""
    return f"scores (formula {formula_label(formula)})"


def _label(formula: Formula) -> pl.Expr:
    return pl.lit(formula_label(formula)).alias(FORMULA_COLUMN)


def _read_scored_events(
    source: HybridEvents, since: datetime, until: datetime, chunk_rows: int, formula: Formula
) -> pl.DataFrame:
    events = pl.concat(_read_chunks(source.window, since, until, chunk_rows))
    return leave_out(events, source.exclusions()) if formula.applies_exclusions else events


def _collect_exactly(frames: list[pl.LazyFrame]) -> pl.DataFrame:
    # unlike the streaming engine, this one adds in the order of the rows, so that the last bit is always the same
    return pl.concat(_decode_categories(frame.collect(engine="in-memory")) for frame in frames)


def _read_chunks(
    read_span: Callable[[datetime, datetime], pl.LazyFrame], since: datetime, until: datetime, chunk_rows: int
) -> Frames:
    """The events of a window, sorted by event_time and id, in frames of about ``chunk_rows``; the last is smaller."""
    frames: list[pl.DataFrame] = []
    span = FIRST_SPAN
    while True:
        last = until if until - since < span else since + span - MICROSECOND
        frame = collect(read_span(since, last)).sort("event_time", "id")
        frames.append(frame)
        if last == until or sum(frame.height for frame in frames) >= chunk_rows:
            yield pl.concat(frames)
            frames = []
        if last == until:
            return
        since = last + MICROSECOND
        if frame.height > chunk_rows:
            span = max(span / 2, SHORTEST_SPAN)
        elif frame.height < chunk_rows // 4:
            span *= 2


def _decode_categories(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
