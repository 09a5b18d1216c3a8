"""Small lakes without a database, and what they have."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leaderboard.lake.table import LakeTable, SyncPosition
from queries import LAKE_SCHEMA, LakeEvents, LakeSnapshot
from queries.schema import EVENT_SCHEMA
from queries.sources.decoded import DecodedLake, MappedEvents
from queries.sources.text_encoding import decode_text
from queries.times import MAX_TIME, MIN_TIME, to_micros

START = datetime(2026, 9, 1, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
Event = dict[str, Any]
EVER = (to_micros(MIN_TIME), to_micros(MAX_TIME))
ROOMY = 1 << 30


def event(number: int, at: datetime, **fields: object) -> Event:
    """An event of an AI job for even numbers, and of transcoding for odd ones."""
    ai: Event = {
        "job_type": "ai",
        "pipeline": "LLM",
        "pipeline_slug": "llm",
        "model": f"model {number % 3}",
        "warm": True,
    }
    base: Event = {
        "id": number,
        "event_time": at,
        "orchestrator": f"0x{number % 7:040x}",
        "region": "FRA",
        "job_type": "transcoding",
        "success_rate": 1.0,
        "round_trip_time": number / 7,
        "seg_duration": 2.0,
        "error_kind": "none",
        "payload": "{}",
    }
    return base | ({} if number % 2 else ai) | fields


def hourly(first: int, count: int, start: datetime = START, step: timedelta = HOUR, **fields: object) -> list[Event]:
    """Events with ids from ``first`` on, one each hour, or as often as ``step`` says."""
    return [event(first + number, start + number * step, **fields) for number in range(count)]


def add_file(lake: Path, events: Sequence[Event]) -> LakeSnapshot:
    """Adds events of one month as a new file of the lake, and returns the version that has them."""
    table = LakeTable(str(lake))
    change = table.stage([to_frame(events)])
    table.commit(change, SyncPosition(max(event["id"] for event in events), START + 365 * DAY, 1, 1))
    return snapshot_of(lake)


def to_frame(events: Sequence[Event]) -> pl.DataFrame:
    """The events as a file of the lake has them."""
    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(list(events), LAKE_SCHEMA))).sort("event_time")


def snapshot_of(lake: Path) -> LakeSnapshot:
    """The newest version of a lake."""
    return LakeEvents(str(lake)).require_snapshot()


def decoded(folder: Path, snapshot: LakeSnapshot, max_bytes: int = ROOMY) -> MappedEvents:
    """The events of a snapshot as another process sees them after it is decoded."""
    DecodedLake(folder, max_bytes).decode(snapshot)
    return DecodedLake(folder, max_bytes).open(snapshot)


def content(frames: Sequence[pl.DataFrame | pl.LazyFrame]) -> pl.DataFrame:
    """The events by id, with their text as String."""
    empty = pl.LazyFrame(schema=nothing().schema)
    return pl.concat([empty, *(decode_text(frame.lazy()) for frame in frames)]).sort("id").collect()


def nothing() -> pl.DataFrame:
    """No events, with the columns of EVENT_SCHEMA."""
    return pl.DataFrame(pl.from_arrow(LAKE_SCHEMA.empty_table())).select(*EVENT_SCHEMA)


def lake_content(snapshot: LakeSnapshot, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
    """What the files of the lake have themselves."""
    return snapshot.window(since, until).sort("id").collect()
