"""Reads many events of a database in chunks of bounded size, a few of them ahead."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

import polars as pl

from queries import PostgresEvents
from queries.concurrency import run_in_thread
from queries.times import MAX_TIME, MICROSECOND, MIN_TIME

CHUNK_ROWS, CHUNK_BYTES = 100_000, 64 << 20
"""Events in a chunk, and stored bytes of their payloads. An hour is never split, so a chunk may hold more."""
CHUNKS_READ_AHEAD = 2
"""Chunks that are read while one is processed. One read keeps a single core of the database busy."""
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
    postgres: PostgresEvents, chunks: list[Chunk], ids: IdRange, progress: Progress, activity: str
) -> Iterator[pl.DataFrame]:
    """Yields the events of each chunk that have these ids.

    The frames have the columns of EVENT_SCHEMA and ``payload``, sorted by
    event_time and id. Raises StoreUnavailable and StoreTimeout.
    """

    def read(chunk: Chunk) -> pl.DataFrame:
        until = chunk.until - MICROSECOND
        events = postgres.window(chunk.since, until, after_id=ids.after_id, max_id=ids.max_id, payload=True)
        return events.sort("event_time", "id").collect()

    total, done = sum(chunk.events for chunk in chunks), 0
    pending = deque(run_in_thread(read, chunk) for chunk in chunks[:CHUNKS_READ_AHEAD])
    for next_number, chunk in enumerate(chunks, CHUNKS_READ_AHEAD):
        progress(activity, done, total)
        frame = pending.popleft().result()
        pending.extend(run_in_thread(read, following) for following in chunks[next_number : next_number + 1])
        yield frame
        done += chunk.events


def event_days(postgres: PostgresEvents, *, max_id: int) -> list[date]:
    """The UTC days on which the database has events with id ≤ max_id, in order."""
    hours = postgres.count_by_hour(MIN_TIME, MAX_TIME, after_id=BEFORE_FIRST_ID, max_id=max_id)
    days: list[date] = hours["hour"].dt.date().unique().sort().to_list()
    return days
