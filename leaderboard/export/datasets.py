"""What can be exported, as frames that come one after another, so that little is held at a time.

The same events give the same frames, whenever and from wherever they are read.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from queries import AI, RESULT_COLUMNS, TRANSCODING, EventFilter, HybridEvents, collect, score_history
from queries.times import MICROSECOND

PIECE = 100_000
"""Rows of a frame, nearly, and of a row group."""
FIRST_SPAN, SHORTEST_SPAN = timedelta(hours=6), timedelta(minutes=1)
"""Of the time whose events are read at once."""

Frames = Iterator[pl.DataFrame]
Read = Callable[[HybridEvents, datetime, datetime], Frames]


class Content(NamedTuple):
    """What is exported of a window (since ≤ event_time ≤ until): at least one frame, each of the same columns.

    ``of_days`` tells whether that of several days is that of one day after another.
    """

    name: str
    read: Read
    of_days: bool = True


def _events(source: HybridEvents, since: datetime, until: datetime) -> Frames:
    """The columns of EVENT_SCHEMA, by event_time and id."""
    return map(_plain, _pieces(source.window, since, until))


def _raw(source: HybridEvents, since: datetime, until: datetime) -> Frames:
    """The columns of EVENT_SCHEMA but for the measures, and payload: the result as posted, JSON in a String."""
    return _pieces(lambda first, last: source.rows(first, last).select(RESULT_COLUMNS), since, until)


def _scores(source: HybridEvents, since: datetime, until: datetime) -> Frames:
    """The window as one span of score_history, with its ends as since and until in the place of bucket."""
    events = pl.concat(_pieces(source.window, since, until))
    history = _history(events.with_columns(pl.lit(since, _MOMENT).alias("event_time")), "1us")
    ends = (pl.col("bucket").alias("since"), pl.lit(until, _MOMENT).alias("until"))
    yield history.select(*ends, pl.exclude("bucket"))


def _scores_by_day(source: HybridEvents, since: datetime, until: datetime) -> Frames:
    """score_history by day, with day (Date) in the place of bucket."""
    history = _history(pl.concat(_pieces(source.window, since, until)), "1d")
    yield history.select(pl.col("bucket").dt.date().alias("day"), pl.exclude("bucket"))


EVENTS, RAW = Content("events", _events), Content("raw", _raw)
SCORES, SCORES_BY_DAY = Content("scores", _scores, of_days=False), Content("scores", _scores_by_day)

_MOMENT = pl.Datetime("us", "UTC")


def _history(events: pl.DataFrame, every: str) -> pl.DataFrame:
    spans = [
        score_history(events.lazy(), EventFilter(job_type=job_type), every=every) for job_type in (TRANSCODING, AI)
    ]
    # unlike the streaming engine, this one adds up in the order of the rows, so the last bit is always the same
    return pl.concat(_plain(span.collect(engine="in-memory")) for span in spans)


def _pieces(read: Callable[[datetime, datetime], pl.LazyFrame], since: datetime, until: datetime) -> Frames:
    """The events that are read of a window, by event_time and id, in frames of about PIECE, the last one smaller."""
    held: list[pl.DataFrame] = []
    span = FIRST_SPAN
    while True:
        last = until if until - since < span else since + span - MICROSECOND
        frame = collect(read(since, last)).sort("event_time", "id")
        held.append(frame)
        if last == until or sum(piece.height for piece in held) >= PIECE:
            yield pl.concat(held)
            held = []
        if last == until:
            return
        since = last + MICROSECOND
        if frame.height > PIECE:
            span = max(span / 2, SHORTEST_SPAN)
        elif frame.height < PIECE // 4:
            span *= 2


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
