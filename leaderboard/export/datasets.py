"""The datasets that can be exported, read as a series of frames, so that little is in memory at a time.

The same events give the same frames, no matter when they are read, and whether from the database or the lake.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from leaderboard.storage.table_formats import CHUNK_ROWS
from queries import AI, RESULT_COLUMNS, TRANSCODING, EventFilter, HybridEvents, collect, score_history
from queries.times import MICROSECOND

FIRST_SPAN, SHORTEST_SPAN = timedelta(hours=6), timedelta(minutes=1)
"""Length of the time whose events are read in one query: at first, and at least."""

Frames = Iterator[pl.DataFrame]
ReadFrames = Callable[[HybridEvents, datetime, datetime, int], Frames]


@dataclass(frozen=True)
class Dataset:
    """What is exported of a window (since ≤ event_time ≤ until).

    ``read_frames`` yields at least one frame, all of the same columns. With
    ``whole_window`` a row sums up the whole window; otherwise the rows of
    several days are the rows of each day, one after another.
    """

    name: str
    read_frames: ReadFrames
    whole_window: bool = False

    def read(self, source: HybridEvents, since: datetime, until: datetime, *, chunk_rows: int = CHUNK_ROWS) -> Frames:
        """The frames of a window; events come in frames of about ``chunk_rows`` rows."""
        return self.read_frames(source, since, until, chunk_rows)


def _read_events(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
    """The columns of EVENT_SCHEMA, sorted by event_time and id."""
    return map(_decode_categories, _read_chunks(source.window, since, until, chunk_rows))


def _read_raw_results(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
    """RESULT_COLUMNS, with payload (String): the result as posted, as JSON. Sorted by event_time and id."""
    return _read_chunks(lambda first, last: source.rows(first, last).select(RESULT_COLUMNS), since, until, chunk_rows)


def _read_scores(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
    """score_history of the whole window as one interval, with since and until instead of bucket."""
    events = pl.concat(_read_chunks(source.window, since, until, chunk_rows))
    # with one time for all events, they are in one interval
    history = _score_history(events.with_columns(pl.lit(since, _MOMENT).alias("event_time")), "1us")
    bounds = (pl.col("bucket").alias("since"), pl.lit(until, _MOMENT).alias("until"))
    yield history.select(*bounds, pl.exclude("bucket"))


def _read_daily_scores(source: HybridEvents, since: datetime, until: datetime, chunk_rows: int) -> Frames:
    """score_history by day, with day (Date) instead of bucket."""
    history = _score_history(pl.concat(_read_chunks(source.window, since, until, chunk_rows)), "1d")
    yield history.select(pl.col("bucket").dt.date().alias("day"), pl.exclude("bucket"))


EVENTS = Dataset("events", _read_events)
RAW_RESULTS = Dataset("raw", _read_raw_results)
SCORES = Dataset("scores", _read_scores, whole_window=True)
DAILY_SCORES = Dataset("scores", _read_daily_scores)

_MOMENT = pl.Datetime("us", "UTC")


def _score_history(events: pl.DataFrame, interval: str) -> pl.DataFrame:
    histories = [
        score_history(events.lazy(), EventFilter(job_type=job_type), interval=interval)
        for job_type in (TRANSCODING, AI)
    ]
    # unlike the streaming engine, this one adds in the order of the rows, so that the last bit is always the same
    return pl.concat(_decode_categories(history.collect(engine="in-memory")) for history in histories)


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
