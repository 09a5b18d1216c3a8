"""Compares the lake with its database, day by day."""

from dataclasses import replace
from datetime import date, datetime

import polars as pl

from leaderboard.lake.chunks import BEFORE_FIRST_ID, IdRange, Progress, plan_chunks, read_chunks
from leaderboard.lake.pace import FULL_SPEED, Pace
from queries import LakeSnapshot, PostgresEvents, collect
from queries.times import MAX_TIME, MICROSECOND, MIN_TIME, TimeRange

ACTIVITY = "comparing"
# the sum of 32-bit numbers fits into 64 bits for four billion events a day
_CHECKSUM_MODULUS = 1 << 32
_NO_DAYS = pl.DataFrame(schema={"day": pl.Date, "events": pl.Int64, "checksum": pl.UInt64})


def compare_days(
    postgres: PostgresEvents,
    lake: LakeSnapshot,
    since: datetime,
    max_id: int,
    progress: Progress,
    *,
    before: datetime | None = None,
    pace: Pace = FULL_SPEED,
) -> pl.DataFrame:
    """Compares the events with id ≤ max_id of every day that the database or the lake has events of.

    The days begin at ``since`` and, if ``before`` is given, end before it;
    both are midnights.

    Columns, in the order of days: day (Date); database and lake (Int64, the
    number of events on each side); database_checksum and lake_checksum (UInt64,
    over all columns of these events); same (Boolean). Checksums are comparable
    only within one release of Polars. Raises StoreUnavailable and StoreTimeout.
    """
    until = MAX_TIME if before is None else before - MICROSECOND
    in_database = _summarise_database(postgres, TimeRange(since, until), max_id, progress, pace)
    in_lake = _summarise_lake(lake, TimeRange(since, until))
    return (
        in_database.join(in_lake, on="day", how="full", coalesce=True, suffix="_lake")
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


def find_days_missing_events(
    postgres: PostgresEvents, lake: LakeSnapshot, before: datetime, progress: Progress
) -> list[date]:
    """The days before a midnight on which the lake lacks an event that the database has, or has it with other values.

    Only events up to the lake's watermark count. Raises StoreUnavailable and
    StoreTimeout.
    """
    if before <= MIN_TIME:
        return []
    ids = IdRange(BEFORE_FIRST_ID, lake.watermark)
    chunks = plan_chunks(postgres, ids, until=before - MICROSECOND)
    days: set[date] = set()
    for frame in read_chunks(postgres, chunks, ids, progress, ACTIVITY):
        bounds = frame.select(since=pl.col("event_time").min(), until=pl.col("event_time").max()).row(0)
        if bounds == (None, None):
            continue
        in_lake = lake.rows(*bounds)
        missing = collect(frame.lazy().join(in_lake, on=frame.columns, how="anti", nulls_equal=True))
        days |= set(missing["event_time"].dt.date())
    return sorted(days)


def _summarise_database(
    postgres: PostgresEvents, window: TimeRange, max_id: int, progress: Progress, pace: Pace
) -> pl.DataFrame:
    ids = IdRange(BEFORE_FIRST_ID, max_id)
    chunks = plan_chunks(postgres, ids, since=window.since, until=window.until)
    frames = read_chunks(postgres, chunks, ids, progress, ACTIVITY, pace)
    parts = [_NO_DAYS, *(_count_and_hash_days(frame.lazy()).collect() for frame in frames)]
    # several chunks may hold parts of one day
    return pl.concat(parts).group_by("day").sum()


def _summarise_lake(lake: LakeSnapshot, window: TimeRange) -> pl.DataFrame:
    """Reads each file once, in batches, which bounds the memory."""
    files = (replace(lake, files=lake.files.filter(pl.col("uri") == uri)) for uri in lake.files["uri"])
    parts = [_NO_DAYS, *(collect(_count_and_hash_days(file.rows(*window))) for file in files)]
    # several files may hold parts of one day
    return pl.concat(parts).group_by("day").sum()


def _count_and_hash_days(events: pl.LazyFrame) -> pl.LazyFrame:
    # a sum does not depend on the order of the events
    return (
        events.with_columns(checksum=pl.struct(pl.all()).hash() % _CHECKSUM_MODULUS)
        .group_by(day=pl.col("event_time").dt.date())
        .agg(events=pl.len().cast(pl.Int64), checksum=pl.col("checksum").sum())
    )
