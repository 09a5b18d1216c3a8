"""The lake's data files: how events are written as Parquet, and what the table records about each file."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from uuid import uuid4

import polars as pl
from deltalake.transaction import AddAction, RemoveAction
from obstore.exceptions import BaseError

from leaderboard.storage.files import Files
from queries import LAKE_SCHEMA, scan_lake_files, with_posted_fields
from queries.times import RFC_3339_FORMAT

MONTH = "month"
"""The partition column. Its values look like 2026-09, and each has a folder of its own."""
COMPRESSION_LEVEL = 1
"""Of zstd."""
SORT_COLUMNS = ("orchestrator", "event_time", "id")
"""The order of the events in a file. A reader of one orchestrator skips the row groups of the others."""
ROW_GROUP_ROWS = 10_000
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
            self.actions.append(add_action(path, content.getbuffer().nbytes, str(month), summarise(month_events)))

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


def remove_actions(data_files: pl.DataFrame, *, changes_data: bool = True) -> list[RemoveAction]:
    """What removes files from the table; ``data_files`` are rows of its add actions, flattened. See add_action."""
    now = _now_in_millis()
    columns = ("path", "size_bytes", f"partition.{MONTH}")
    return [
        RemoveAction(path, changes_data, now, size, {MONTH: month})
        for path, size, month in data_files.select(columns).iter_rows()
    ]


def summarise(events: pl.DataFrame) -> pl.DataFrame:
    """One row with what a file of these events says about them."""
    return events.select(
        pl.len().alias("rows"),
        pl.col("id").min().alias("min_id"),
        pl.col("id").max().alias("max_id"),
        pl.col("event_time").min().alias("since"),
        pl.col("event_time").max().alias("until"),
        pl.col("error_kind").null_count().alias("null_error_kinds"),
    )


def add_action(path: str, size: int, month: str, summaries: pl.DataFrame, *, changes_data: bool = True) -> AddAction:
    """What adds a file of ``size`` bytes to the table. ``summaries`` has one or more rows of ``summarise``.

    By the statistics, readers skip files outside of their window. Without
    ``changes_data``, the file has events that the table had before.
    """
    moments = summaries.select(since=pl.col("since").min(), until=pl.col("until").max())
    since, until = moments.select(pl.all().dt.strftime(RFC_3339_FORMAT)).row(0)
    statistics = {
        "numRecords": summaries["rows"].sum(),
        "minValues": {"id": summaries["min_id"].min(), "event_time": since},
        "maxValues": {"id": summaries["max_id"].max(), "event_time": until},
        "nullCount": {"id": 0, "event_time": 0, "error_kind": summaries["null_error_kinds"].sum()},
    }
    return AddAction(path, size, {MONTH: month}, _now_in_millis(), changes_data, json.dumps(statistics))


def _now_in_millis() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
