"""Lakes as releases before OPTIONAL_COLUMNS wrote them."""

import json
import shutil
from pathlib import Path
from uuid import uuid4

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction

from leaderboard.lake.table import TABLE_DESCRIPTION, TABLE_SCHEMA
from queries.schema import OPTIONAL_COLUMNS
from queries.sources.lake_snapshot import AS_OF_KEY, CHANGES_KEY, DATABASE_KEY, WATERMARK_KEY

OLDER_SCHEMA = pa.schema([field for field in TABLE_SCHEMA if field.name not in OPTIONAL_COLUMNS])
POSITION = (WATERMARK_KEY, AS_OF_KEY, DATABASE_KEY, CHANGES_KEY)


def make_older(lake: Path | str) -> None:
    """Replaces a lake in a folder by one with the same events and position that an older release wrote."""
    lake = Path(lake)
    newer = lake.rename(lake.with_name("newer"))
    source = DeltaTable(newer)
    older = DeltaTable.create(str(lake), OLDER_SCHEMA, partition_by=["month"], **TABLE_DESCRIPTION)
    actions = [
        _write_file(lake, path, pl.read_parquet(newer / path, hive_partitioning=False))
        for path in pl.DataFrame(source.get_add_actions())["path"]
    ]
    _append(older, actions, {key: source.transaction_version(key) for key in POSITION})
    shutil.rmtree(newer)


def add_older_file(lake: str, events: pl.DataFrame) -> None:
    """Syncs the next events, of any months, as an older release does."""
    table = DeltaTable(lake)
    months = events.group_by(pl.col("event_time").dt.strftime("%Y-%m"))
    actions = [_write_file(Path(lake), f"month={month}/{uuid4()}.parquet", rows) for (month,), rows in months]
    position = {key: table.transaction_version(key) for key in POSITION}
    _append(table, actions, position | {WATERMARK_KEY: events["id"].max()})


def _append(table: DeltaTable, actions: list[AddAction], position: dict[str, int | None]) -> None:
    transactions = [Transaction(key, version) for key, version in position.items()]
    properties = CommitProperties(app_transactions=transactions)
    table.create_write_transaction(actions, "append", table.schema(), ["month"], commit_properties=properties)


def _write_file(lake: Path, path: str, events: pl.DataFrame) -> AddAction:
    file, times = lake / path, events["event_time"].dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    file.parent.mkdir(exist_ok=True)
    events.drop(OPTIONAL_COLUMNS).write_parquet(file, compression="zstd", compression_level=1)
    statistics = {
        "numRecords": events.height,
        "minValues": {"id": events["id"].min(), "event_time": times.min()},
        "maxValues": {"id": events["id"].max(), "event_time": times.max()},
        "nullCount": {"id": 0, "event_time": 0},
    }
    month = path.partition("=")[2].partition("/")[0]
    return AddAction(path, file.stat().st_size, {"month": month}, 0, True, json.dumps(statistics))
