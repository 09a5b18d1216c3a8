"""The datasets that can be exported, read as a series of frames, so that little is in memory at a time.

The same events give the same frames, no matter when they are read, and whether from the database or the lake.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter
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
from queries.times import MICROSECOND

FIRST_SPAN, SHORTEST_SPAN = timedelta(hours=6), timedelta(minutes=1)
"""Length of the time whose events are read in one query: at first, and at least."""

Frames = Iterator[pl.DataFrame]
Window = tuple[datetime, datetime]
"""The time since ≤ event_time ≤ until."""
Source = TypeVar("Source")


@dataclass(frozen=True)
class Dataset(ABC, Generic[Source]):
    """What is exported of a window.

    With ``whole_window`` a row sums up the whole window; otherwise the rows of
    several days are the rows of each day, one after another. With ``by_day``
    a row sums up a day, so that only whole days make sense.
    """

    name: str
    whole_window: bool = False
    by_day: bool = False

    @abstractmethod
    def read_windows(
        self, source: Source, windows: Sequence[Window], *, chunk_rows: int = CHUNK_ROWS
    ) -> Iterator[Frames]:
        """The frames of each window, at least one, all of the same columns; events come in about ``chunk_rows`` rows.

        The windows are in order and have no time in common. Take the frames of
        a window before those of the next one: windows that follow each other
        are read together. Raises StoreUnavailable and StoreTimeout.
        """

    def read(self, source: Source, since: datetime, until: datetime, *, chunk_rows: int = CHUNK_ROWS) -> Frames:
        """The frames of one window."""
        return next(self.read_windows(source, [(since, until)], chunk_rows=chunk_rows))


@dataclass(frozen=True, kw_only=True)
class _EventDataset(Dataset[HybridEvents]):
    """A dataset made of the events in the order of event_time and id.

    ``read_span`` returns the events of a time. ``convert`` makes frames of a
    window's events, which it gets as frames.
    """

    read_span: Callable[[HybridEvents, datetime, datetime], pl.LazyFrame]
    convert: Callable[[HybridEvents, Frames, Window], Frames]

    def read_windows(
        self, source: HybridEvents, windows: Sequence[Window], *, chunk_rows: int = CHUNK_ROWS
    ) -> Iterator[Frames]:
        """See Dataset. Days that follow each other share the reads of files that hold several days."""
        chunks = _read_chunks(partial(self.read_span, source), _join_adjacent(windows), chunk_rows)
        for window, pieces in groupby(_split(chunks, windows), itemgetter(0)):
            yield self.convert(source, map(itemgetter(1), pieces), window)


def _scan_results(source: HybridEvents, since: datetime, until: datetime) -> pl.LazyFrame:
    return source.rows(since, until).select(RESULT_COLUMNS)


EVENTS = _EventDataset(
    name="events",
    read_span=HybridEvents.window,
    convert=lambda _source, frames, _window: map(_decode_categories, frames),
)
"""The columns of EVENT_SCHEMA, sorted by event_time and id."""
RAW_RESULTS = _EventDataset(name="raw", read_span=_scan_results, convert=lambda _source, frames, _window: frames)
"""RESULT_COLUMNS, with payload (String): the result as posted, as JSON. Sorted by event_time and id."""

FORMULA_COLUMN = "formula"
"""The column of scores that says which formula they are by."""
FORMULA_OF_OLDER_RELEASES = FORMULA_1.name
"""The formula of exported scores without that column."""

_MOMENT = pl.Datetime("us", "UTC")


def window_scores(formula: Formula) -> Dataset[HybridEvents]:
    """score_history of the whole window as one interval, with formula (String), since and until instead of bucket."""

    def score(source: HybridEvents, frames: Frames, window: Window) -> Frames:
        events = _concat_scored(source, frames, formula)
        yield label_window(_collect_exactly(histories(events.lazy(), formula)), *window, formula)

    return _EventDataset(name=scores_name(formula), whole_window=True, read_span=HybridEvents.window, convert=score)


def daily_scores(formula: Formula) -> Dataset[HybridEvents]:
    """score_history by day, with formula (String) and day (Date) instead of bucket."""

    def score(source: HybridEvents, frames: Frames, _: Window) -> Frames:
        events = _concat_scored(source, frames, formula)
        yield label_days(_collect_exactly(histories(events.lazy(), formula, by_day=True)), formula)

    return _EventDataset(name=scores_name(formula), by_day=True, read_span=HybridEvents.window, convert=score)


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


def _concat_scored(source: HybridEvents, frames: Frames, formula: Formula) -> pl.DataFrame:
    """The events of the frames that the formula scores."""
    events = pl.concat(frames)
    return leave_out(events, source.exclusions()) if formula.applies_exclusions else events


def _collect_exactly(frames: list[pl.LazyFrame]) -> pl.DataFrame:
    # unlike the streaming engine, this one adds in the order of the rows, so that the last bit is always the same
    return pl.concat(_decode_categories(frame.collect(engine="in-memory")) for frame in frames)


def _join_adjacent(windows: Sequence[Window]) -> list[Window]:
    """The same time in as few windows as possible."""
    joined: list[Window] = []
    for since, until in windows:
        if joined and since - joined[-1][1] == MICROSECOND:
            joined[-1] = (joined[-1][0], until)
        else:
            joined.append((since, until))
    return joined


def _read_chunks(
    read_span: Callable[[datetime, datetime], pl.LazyFrame], windows: list[Window], chunk_rows: int
) -> Iterator[tuple[Window, pl.DataFrame]]:
    """The events of the windows, sorted by event_time and id, in chunks of about ``chunk_rows``, each with its time.

    The last chunk of a window is smaller.
    """
    span = FIRST_SPAN
    for window_since, until in windows:
        frames: list[pl.DataFrame] = []
        chunk_since = since = window_since
        while True:
            last = until if until - since < span else since + span - MICROSECOND
            frame = collect(read_span(since, last)).sort("event_time", "id")
            frames.append(frame)
            if last == until or sum(frame.height for frame in frames) >= chunk_rows:
                yield (chunk_since, last), pl.concat(frames)
                frames = []
            if frame.height > chunk_rows:
                span = max(span / 2, SHORTEST_SPAN)
            elif frame.height < chunk_rows // 2:
                span *= 2
            if last == until:
                break
            since = last + MICROSECOND
            chunk_since = chunk_since if frames else since


def _split(
    chunks: Iterator[tuple[Window, pl.DataFrame]], windows: Sequence[Window]
) -> Iterator[tuple[Window, pl.DataFrame]]:
    """The pieces of the chunks that are in each window, at least one for each."""
    for (chunk_since, chunk_until), frame in chunks:
        for window in windows:
            if window[0] <= chunk_until and window[1] >= chunk_since:
                yield window, frame.filter(pl.col("event_time").is_between(*window))


def _decode_categories(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
