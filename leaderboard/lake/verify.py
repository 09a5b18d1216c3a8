"""Whether the lake has what the database has, day by day."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

import polars as pl

from queries import LakeSnapshot, PostgresEvents, collect
from queries.concurrency import run_in_thread
from queries.times import MAX_TIME, MICROSECOND, MIN_TIME, day_bounds

PIECE, PIECE_BYTES = 100_000, 64 << 20
"""Events, and bytes of their payloads as they are stored, that are held at a time, nearly."""
AHEAD = 2
"""How many such pieces are read meanwhile, as one keeps a single core of the database busy."""
LOWEST = -(2**62)
"""Below every id."""
HOUR = timedelta(hours=1)
_SUM = 1 << 32

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many events of it are done, and of how many."""


class Span(NamedTuple):
    """A span of time, until excluded, and about how many events it has."""

    since: datetime
    until: datetime
    events: int


def spans(
    postgres: PostgresEvents,
    *,
    after_id: int,
    max_id: int,
    since: datetime = MIN_TIME,
    until: datetime = MAX_TIME,
    of: Collection[date] | None = None,
) -> list[Span]:
    """The time of the events with these ids in spans of whole hours, of about PIECE events.

    That is the time from ``since`` (a midnight) to ``until``, or ``of`` it these days alone.
    """
    hours = postgres.count_by_hour(since, until, after_id=after_id, max_id=max_id)
    if of is not None:
        hours = hours.filter(pl.col("hour").dt.date().is_in(sorted(of)))
    found: list[Span] = []
    size = 0
    for begin, events, stored in hours.iter_rows():
        # the last hour that there is has no end
        end = begin + HOUR if begin <= MAX_TIME - HOUR else MAX_TIME
        fits = found and found[-1].events + events <= PIECE and size + stored <= PIECE_BYTES
        if fits and (of is None or found[-1].until == begin):
            found[-1] = Span(found[-1].since, end, found[-1].events + events)
            size += stored
        else:
            found.append(Span(begin, end, events))
            size = stored
    return found


def days(postgres: PostgresEvents, *, max_id: int) -> list[date]:
    """The days that the database has events of, of ids at most ``max_id``."""
    return (
        postgres.count_by_hour(MIN_TIME, MAX_TIME, after_id=LOWEST, max_id=max_id)["hour"].dt.date().unique().sort().to_list()
    )


def frames(
    postgres: PostgresEvents, wanted: list[Span], progress: Progress, doing: str, *, after_id: int, max_id: int
) -> Iterator[pl.DataFrame]:
    """The events of each span, with their payloads, sorted by time; the next two are read while one is worked on."""

    def read(span: Span) -> pl.DataFrame:
        until = span.until - MICROSECOND
        events = postgres.window(span.since, until, after_id=after_id, max_id=max_id, payload=True)
        return events.sort("event_time", "id").collect()

    total, done = sum(span.events for span in wanted), 0
    coming = deque(run_in_thread(read, span) for span in wanted[:AHEAD])
    for number, span in enumerate(wanted, AHEAD):
        progress(doing, done, total)
        frame = coming.popleft().result()
        coming.extend(run_in_thread(read, after) for after in wanted[number : number + 1])
        yield frame
        done += span.events


def compared(
    postgres: PostgresEvents,
    lake: LakeSnapshot,
    since: datetime,
    max_id: int,
    progress: Progress,
    *,
    before: datetime | None = None,
) -> pl.DataFrame:
    """Every day that the lake or the database has events of, of ids at most ``max_id``.

    The days are those from ``since`` on and, if it is given, before ``before``
    (midnights).

    Columns: day (Date), database and lake (how many events each has, Int64),
    database_checksum and lake_checksum (UInt64, of all columns of these), same
    (Boolean), in the order of the days. A checksum can be compared with others
    of one release of Polars only.
    """
    end = MAX_TIME if before is None else before - MICROSECOND
    parts = spans(postgres, after_id=LOWEST, max_id=max_id, since=since, until=end)
    read = frames(postgres, parts, progress, "comparing", after_id=LOWEST, max_id=max_id)
    of_database = pl.concat([_NO_DAYS, *(_by_day(frame.lazy()).collect() for frame in read)])
    held = (lake.window(*day, payload=True) for day in _days(lake, since, end))
    of_lake = pl.concat([_NO_DAYS, *(collect(_by_day(day)) for day in held)])
    return (
        # a day may have been read in several parts
        of_database.group_by("day")
        .sum()
        .join(of_lake, on="day", how="full", coalesce=True, suffix="_lake")
        .select(
            "day",
            database=pl.col("events").fill_null(0),
            lake=pl.col("events_lake").fill_null(0),
            database_checksum=pl.col("checksum").fill_null(0),
            lake_checksum=pl.col("checksum_lake").fill_null(0),
        )
        .with_columns(
            same=(pl.col("database") == pl.col("lake")) & (pl.col("database_checksum") == pl.col("lake_checksum"))
        )
        .sort("day")
    )


def lacking(postgres: PostgresEvents, lake: LakeSnapshot, before: datetime, progress: Progress) -> list[date]:
    """The days before a midnight of which the database has events that the lake should have, and has not the same."""
    wanted = (
        spans(postgres, after_id=LOWEST, max_id=lake.watermark, until=before - MICROSECOND) if before > MIN_TIME else []
    )
    found: set[date] = set()
    for frame in frames(postgres, wanted, progress, "comparing", after_id=LOWEST, max_id=lake.watermark):
        times = frame["event_time"]
        of_lake = lake.window(times.min() or before, times.max() or before, payload=True)
        missing = collect(frame.lazy().join(of_lake, on=frame.columns, how="anti", nulls_equal=True))
        found |= set(missing["event_time"].dt.date())
    return sorted(found)


def _days(lake: LakeSnapshot, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """That time, both ends inclusive, as far as there are files, by the day."""
    return [
        (max(begin, since), min(end, until))
        for begin, end in map(day_bounds, lake.days())
        if begin <= until and end >= since
    ]


def _by_day(events: pl.LazyFrame) -> pl.LazyFrame:
    # a sum does not depend on the order, and one of 32 bits each does not overflow
    return (
        events.with_columns(checksum=pl.struct(pl.all()).hash() % _SUM)
        .group_by(day=pl.col("event_time").dt.date())
        .agg(events=pl.len().cast(pl.Int64), checksum=pl.col("checksum").sum())
    )


_NO_DAYS = pl.DataFrame(schema={"day": pl.Date, "events": pl.Int64, "checksum": pl.UInt64})
