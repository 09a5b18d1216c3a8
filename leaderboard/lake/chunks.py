"""Reads many events of a database in chunks of bounded size."""

from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import NamedTuple

import polars as pl

from leaderboard.lake.pace import FULL_SPEED, Pace, paced
from queries import PostgresEvents
from queries.times import MAX_TIME, MICROSECOND, MIN_TIME

CHUNK_ROWS, CHUNK_BYTES = 100_000, 64 << 20
"""Events in a chunk, and stored bytes of their payloads. An hour is never split, so a chunk may hold more."""
BEFORE_FIRST_ID = -(2**62)
"""Lower than every id."""
HOUR = timedelta(hours=1)

Progress = Callable[[str, int, int], None]
"""A function that is called with the current activity, the events done, and the estimated number of events."""


class IdRange(NamedTuple):
    """The ids with after_id < id ≤ max_id."""

    after_id: int
    max_id: int


class Chunk(NamedTuple):
    """A span of whole hours, ``until`` excluded, and the estimated number of its events."""

    since: datetime
    until: datetime
    events: int


def plan_chunks(
    postgres: PostgresEvents,
    ids: IdRange,
    *,
    since: datetime = MIN_TIME,
    until: datetime = MAX_TIME,
    days: Collection[date] | None = None,
) -> list[Chunk]:
    """Divides the time of the events with these ids into chunks of about CHUNK_ROWS events.

    The chunks cover the time from ``since`` (a midnight) to ``until``. With
    ``days``, they cover these days only. Raises StoreUnavailable and
    StoreTimeout.
    """
    hours = postgres.count_by_hour(since, until, after_id=ids.after_id, max_id=ids.max_id)
    if days is not None:
        hours = hours.filter(pl.col("hour").dt.date().is_in(sorted(days)))
    chunks: list[Chunk] = []
    chunk_bytes = 0
    for hour, events, stored_bytes in hours.iter_rows():
        # the last hour before MAX_TIME has no end that a datetime could hold
        chunk_end = hour + HOUR if hour <= MAX_TIME - HOUR else MAX_TIME
        last = chunks[-1] if chunks else None
        if (
            last is not None
            and last.events + events <= CHUNK_ROWS
            and chunk_bytes + stored_bytes <= CHUNK_BYTES
            # a chunk of some days must not reach over the days between them
            and (days is None or last.until == hour)
        ):
            chunks[-1] = Chunk(last.since, chunk_end, last.events + events)
            chunk_bytes += stored_bytes
        else:
            chunks.append(Chunk(hour, chunk_end, events))
            chunk_bytes = stored_bytes
    return chunks


def read_chunks(
    postgres: PostgresEvents,
    chunks: list[Chunk],
    ids: IdRange,
    progress: Progress,
    activity: str,
    pace: Pace = FULL_SPEED,
) -> Iterator[pl.DataFrame]:
    """Yields the events of each chunk that have these ids.

    The frames have the columns of EVENT_SCHEMA and ``payload``, in no order.
    Raises StoreUnavailable and StoreTimeout.
    """

    def read(chunk: Chunk) -> pl.DataFrame:
        until = chunk.until - MICROSECOND
        return postgres.window(chunk.since, until, after_id=ids.after_id, max_id=ids.max_id, payload=True).collect()

    total, done = sum(chunk.events for chunk in chunks), 0
    frames = paced((partial(read, chunk) for chunk in chunks), pace)
    for chunk in chunks:
        progress(activity, done, total)
        yield next(frames)
        done += chunk.events


class Step(NamedTuple):
    """Events in the order of ids. With them, a lake has every event up to ``max_id``."""

    max_id: int
    events: pl.DataFrame


def read_steps(
    postgres: PostgresEvents, ids: IdRange, progress: Progress, activity: str, pace: Pace = FULL_SPEED
) -> Iterator[Step]:
    """Yields all events with these ids in steps of CHUNK_ROWS events at most, in the order of ids; at least one step.

    The frames are those of ``read_chunks``. Ids are drawn in the order of
    time, so a step has about the events of one span of time, unless old ones
    were imported. The number of events is estimated by the ids. Raises
    StoreUnavailable and StoreTimeout.
    """
    first_id: int | None = None

    def read(after_id: int, max_id: int) -> Step:
        events = postgres.window(MIN_TIME, MAX_TIME, after_id=after_id, max_id=max_id, payload=True)
        return Step(max_id, events.collect())

    def plan() -> Iterator[Callable[[], Step]]:
        nonlocal first_id
        after_id, is_last = ids.after_id, False
        while not is_last:
            following = postgres.next_ids(after_id, ids.max_id, CHUNK_ROWS, CHUNK_BYTES)
            first_id, is_last = following.min_id if first_id is None else first_id, following.is_last
            max_id = ids.max_id if is_last or following.max_id is None else following.max_id
            yield partial(read, after_id, max_id)
            after_id = max_id

    for step in paced(plan(), pace):
        first = step.max_id if first_id is None else first_id
        progress(activity, step.max_id - first + 1, ids.max_id - first + 1)
        yield step


def event_days(postgres: PostgresEvents, *, max_id: int) -> list[date]:
    """The UTC days on which the database has events with id ≤ max_id, in order."""
    hours = postgres.count_by_hour(MIN_TIME, MAX_TIME, after_id=BEFORE_FIRST_ID, max_id=max_id)
    days: list[date] = hours["hour"].dt.date().unique().sort().to_list()
    return days
