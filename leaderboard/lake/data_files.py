"""The lake's data files: how events are written as Parquet, and what the table records about each file."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from uuid import uuid4

import polars as pl
from deltalake import ColumnProperties, WriterProperties
from deltalake.transaction import AddAction, RemoveAction
from obstore.exceptions import BaseError

from leaderboard.storage.files import Files
from queries import LAKE_SCHEMA, MEASURES, scan_lake_files, with_posted_fields

MONTH = "month"
"""The partition column. Its values look like 2026-09, and each has a folder of its own."""
COMPRESSION_LEVEL = 1
"""Of zstd."""
SORT_COLUMNS = ("orchestrator", "event_time", "id")
"""The order of the events in a file. A reader of one orchestrator skips the row groups of the others."""
ROW_GROUP_ROWS = 20_000
BATCH_ROWS, MAX_FILE_ROWS, MAX_BYTES = 10_000, 100_000, 64 << 20
"""Events that are read at a time to rewrite a file, and how many, and about how large, those of a new one are."""


class NewFiles:
    """New data files of a table. Readers do not see them before ``actions``, which add them, are committed.

    Every call raises what those of ``Files`` raise.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self.actions: list[AddAction] = []

    def write(self, events: pl.DataFrame) -> None:
        """Writes events as one file per month, sorted by SORT_COLUMNS."""
        months = events.sort(SORT_COLUMNS).with_columns(pl.col("event_time").dt.strftime("%Y-%m").alias(MONTH))
        for (month,), month_events in months.partition_by(MONTH, include_key=False, as_dict=True).items():
            content = BytesIO()
            month_events.write_parquet(
                content, compression="zstd", compression_level=COMPRESSION_LEVEL, row_group_size=ROW_GROUP_ROWS
            )
            path = f"{MONTH}={month}/{uuid4()}.parquet"
            self._files.put(path, content.getvalue())
            size = content.getbuffer().nbytes
            partition, statistics = {MONTH: str(month)}, _statistics(month_events)
            self.actions.append(AddAction(path, size, partition, _now_in_millis(), True, statistics))

    def delete(self) -> None:
        """Deletes the files again, as far as that is possible. A vacuum deletes the others."""
        for action in self.actions:
            with suppress(OSError, BaseError):
                self._files.delete(action.path)


def complete_events(uri: str, options: dict[str, str] | None) -> Iterator[pl.DataFrame]:
    """Reads a file of an older release in frames of bounded size, with every column. Raises Polars' errors, OSError."""
    frames: list[pl.DataFrame] = []
    events = with_posted_fields(scan_lake_files([uri], options)).select(LAKE_SCHEMA.names)
    for frame in events.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        frames.append(frame)
        if len(frames) * BATCH_ROWS >= MAX_FILE_ROWS or sum(map(pl.DataFrame.estimated_size, frames)) >= MAX_BYTES:
            yield pl.concat(frames)
            frames = []
    if frames:
        yield pl.concat(frames)


def remove_actions(data_files: pl.DataFrame) -> list[RemoveAction]:
    """What removes files from the table; ``data_files`` are rows of its add actions, flattened."""
    now = _now_in_millis()
    columns = ("path", "size_bytes", f"partition.{MONTH}")
    return [
        RemoveAction(path, True, now, size, {MONTH: month})
        for path, size, month in data_files.select(columns).iter_rows()
    ]


def compaction_properties() -> WriterProperties:
    """How deltalake writes the files that compaction makes."""
    # nearly every value differs in these columns, so a dictionary makes files larger and slower to read
    no_dictionary = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(
        compression="ZSTD",
        compression_level=COMPRESSION_LEVEL,
        max_row_group_size=ROW_GROUP_ROWS,
        column_properties=dict.fromkeys(("id", "event_time", *MEASURES, "payload"), no_dictionary),
    )


def _statistics(events: pl.DataFrame) -> str:
    """The statistics of a file in Delta's JSON, by which readers skip files outside of their window."""
    columns = pl.col("id", "event_time")
    bounds = {
        "minValues": events.select(columns.min()).row(0, named=True),
        "maxValues": events.select(columns.max()).row(0, named=True),
    }
    for values in bounds.values():
        values["event_time"] = values["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    nulls = events.select(pl.col("id", "event_time", "error_kind").null_count()).row(0, named=True)
    return json.dumps({"numRecords": events.height, **bounds, "nullCount": nulls})


def _now_in_millis() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
