"""Lakes as releases before OPTIONAL_COLUMNS wrote them."""

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction

from leaderboard.lake.table import TABLE_DESCRIPTION, TABLE_SCHEMA
from queries.schema import OPTIONAL_COLUMNS
from queries.sources.lake_snapshot import AS_OF_KEY, CHANGES_KEY, DATABASE_KEY, WATERMARK_KEY

OLDER_SCHEMA = pa.schema([field for field in TABLE_SCHEMA if field.name not in OPTIONAL_COLUMNS])


def make_older(lake: Path | str) -> None:
    """Replaces a lake in a folder by one with the same events and position that an older release wrote."""
    lake = Path(lake)
    newer = lake.rename(lake.with_name("newer"))
    source = DeltaTable(newer)
    older = DeltaTable.create(str(lake), OLDER_SCHEMA, partition_by=["month"], **TABLE_DESCRIPTION)
    actions = [
        write_older_file(lake, f"{path}", pl.read_parquet(newer / path, hive_partitioning=False))
        for path in pl.DataFrame(source.get_add_actions())["path"]
    ]
    keys = (WATERMARK_KEY, AS_OF_KEY, DATABASE_KEY, CHANGES_KEY)
    transactions = [Transaction(key, source.transaction_version(key)) for key in keys]
    append(older, actions, transactions)
    shutil.rmtree(newer)


def append(table: DeltaTable, actions: list[AddAction], transactions: list[Transaction]) -> None:
    """Adds files to a table and moves its position."""
    properties = CommitProperties(app_transactions=transactions)
    table.create_write_transaction(actions, "append", table.schema(), ["month"], commit_properties=properties)


def write_older_file(lake: Path, path: str, events: pl.DataFrame) -> AddAction:
    """Writes a file without OPTIONAL_COLUMNS, and returns what adds it to the table."""
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
