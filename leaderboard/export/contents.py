"""What can be exported, as frames that come one after another, so that little is held at a time.

The same events give the same frames, whenever and from wherever they are read.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import polars as pl

from queries import AI, TRANSCODING, Query, StoredEvents, collect, score_history
from queries.lake import RESULT

PIECE = 100_000
"""Rows of a frame, nearly, and of a row group."""
FIRST_SPAN, LONGEST_SPAN, SHORTEST_SPAN = timedelta(hours=1), timedelta(hours=6), timedelta(minutes=1)
"""Of the time whose events are read at once."""
MICROSECOND = timedelta(microseconds=1)

Frames = Iterator[pl.DataFrame]
Read = Callable[[StoredEvents, datetime, datetime], Frames]


class Content(NamedTuple):
    """What is exported of a window (since ≤ event_time ≤ until): at least one frame, each of the same columns.

    ``of_days`` tells whether that of several days is that of one day after another.
    """

    name: str
    read: Read
    of_days: bool = True


def bounds(day: date) -> tuple[datetime, datetime]:
    """The first and the last moment of a day, in UTC."""
    return datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC)


def _events(source: StoredEvents, since: datetime, until: datetime) -> Frames:
    """The columns of EVENT_SCHEMA, by event_time and id."""
    return _pieces(lambda first, last: source.window(first, last), since, until)


def _raw(source: StoredEvents, since: datetime, until: datetime) -> Frames:
    """The columns of EVENT_SCHEMA but for the measures, and payload: the result as posted, JSON in a String."""
    return _pieces(lambda first, last: source.rows(first, last).select(RESULT), since, until)


def _scores(source: StoredEvents, since: datetime, until: datetime) -> Frames:
    """The window as one span of score_history, with its ends as since and until in the place of bucket."""
    events = _in_order(source.window(since, until)).with_columns(event_time=pl.lit(since, pl.Datetime("us", "UTC")))
    ends = (pl.col("bucket").alias("since"), pl.lit(until, pl.Datetime("us", "UTC")).alias("until"))
    yield _history(events, "1us").select(*ends, pl.exclude("bucket"))


def _scores_by_day(source: StoredEvents, since: datetime, until: datetime) -> Frames:
    """score_history by day, with day (Date) in the place of bucket."""
    history = _history(_in_order(source.window(since, until)), "1d")
    yield history.select(pl.col("bucket").dt.date().alias("day"), pl.exclude("bucket"))


EVENTS, RAW = Content("events", _events), Content("raw", _raw)
SCORES, SCORES_BY_DAY = Content("scores", _scores, of_days=False), Content("scores", _scores_by_day)


def _history(events: pl.DataFrame, every: str) -> pl.DataFrame:
    spans = [score_history(events.lazy(), Query(job_type=job_type), every=every) for job_type in (TRANSCODING, AI)]
    # unlike the streaming engine, this one adds up in the order of the rows, so the last bit is always the same
    return _plain(pl.concat(spans)).collect(engine="in-memory")


def _pieces(read: Callable[[datetime, datetime], pl.LazyFrame], since: datetime, until: datetime) -> Frames:
    held: list[pl.DataFrame] = []
    span = FIRST_SPAN
    while True:
        last = until if until - since < span else since + span - MICROSECOND
        frame = _in_order(read(since, last))
        held.append(frame)
        if sum(piece.height for piece in held) >= PIECE or last == until:
            yield pl.concat(held)
            held = []
        if last == until:
            return
        since = last + MICROSECOND
        if frame.height > PIECE:
            span = max(span / 2, SHORTEST_SPAN)
        elif frame.height < PIECE // 4:
            span = min(span * 2, LONGEST_SPAN)


def _in_order(events: pl.LazyFrame) -> pl.DataFrame:
    return collect(_plain(events).sort("event_time", "id"))


def _plain(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
