"""Merges data files of a month into a few of whole days, sorted by SORT_COLUMNS, in bounded memory.

deltalake's own compaction only concatenates. Its z-order and a sort of Polars
or DuckDB hold a whole month or spill it to disk. The key is known, so the rows
are read a range of keys at a time: of files that are sorted themselves, most is
skipped. Eight million results in a month took 70 s of one core and 270 MiB.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import polars as pl
import pyarrow as pa
from deltalake.transaction import AddAction
from pyarrow.parquet import ParquetWriter

from leaderboard.lake.data_files import (
    COMPRESSION_LEVEL,
    MONTH,
    ROW_GROUP_ROWS,
    SORT_COLUMNS,
    add_action,
    summarise,
)
from leaderboard.storage.files import Files
from queries import LAKE_SCHEMA, collect, scan_lake_files
from queries.times import day_bounds

MERGED_FILE_ROWS, SMALL_FILE_ROWS = 250_000, 60_000
"""The most events of a merged file, about, and how many it has at least, unless its month has fewer.

In larger files, a reader of one orchestrator reads less. In smaller ones, a reader of a day does.
"""
MAX_RANGE_ROWS, MAX_RANGE_BYTES = 50_000, 4 << 20
"""The most rows that are read at a time, and their size in the files. A day of an orchestrator is not split."""
# nearly every value differs in the other columns, so a dictionary makes files larger and slower to read
_DICTIONARY_COLUMNS = [
    column.name for column in LAKE_SCHEMA if pa.types.is_string(column.type) and column.name != "payload"
]


@dataclass(frozen=True)
class _KeyRange:
    """The events from the first day of the first orchestrator to the last day of the last one, both included."""

    first_orchestrator: str
    first_day: date
    last_orchestrator: str
    last_day: date

    def filter(self, events: pl.LazyFrame) -> pl.LazyFrame:
        """Those of the events that are in the range."""
        orchestrator, day = pl.col("orchestrator"), pl.col("event_time").dt.date()
        # by the first condition, a reader skips row groups
        return events.filter(
            orchestrator.is_between(pl.lit(self.first_orchestrator), pl.lit(self.last_orchestrator)),
            (orchestrator > self.first_orchestrator) | (day >= self.first_day),
            (orchestrator < self.last_orchestrator) | (day <= self.last_day),
        )


def is_small() -> pl.Expr:
    """Whether a file, which is a row of a table's add actions, has few events."""
    return pl.col("num_records") < SMALL_FILE_ROWS


def mergeable(data_files: pl.DataFrame) -> pl.DataFrame:
    """Those of the files that are small, or have events of a day that another file of the month has events of.

    ``data_files`` are rows of a table's add actions, flattened. What ``merge_data_files`` wrote is not mergeable again.
    """
    month = f"partition.{MONTH}"
    first, last = pl.col("min.event_time").dt.date(), pl.col("max.event_time").dt.date()
    in_order = data_files.sort(month, "min.event_time", "max.event_time")
    last_before = last.cum_max().shift(1).over(month)
    first_after = first.shift(-1).over(month)
    return in_order.filter(
        is_small() | (first <= last_before).fill_null(value=False) | (first_after <= last).fill_null(value=False)
    )


def merge_data_files(
    files: Files, month: str, data_files: pl.DataFrame, options: dict[str, str] | None
) -> list[AddAction]:
    """Writes the events of a month's files to new ones of whole days, and returns what adds these to the table.

    A new file has about MERGED_FILE_ROWS events at most, or a day.
    ``data_files`` has the columns uri, num_records and size_bytes; the files
    have every column. Raises StoreUnavailable, and what ``Files`` raises.
    """
    events = scan_lake_files(data_files["uri"].to_list(), options).select(LAKE_SCHEMA.names)
    day = pl.col("event_time").dt.date()
    counts = collect(events.group_by("orchestrator", day=day).agg(events=pl.len())).sort("orchestrator", "day")
    rows, size = int(data_files["num_records"].sum()), int(data_files["size_bytes"].sum())
    range_rows = min(MAX_RANGE_ROWS, max(1, rows * MAX_RANGE_BYTES // max(1, size)))
    actions = []
    for of_file in _split_days(counts):
        first, last = of_file.select(first=pl.col("day").min(), last=pl.col("day").max()).row(0)
        ranges = _key_ranges(of_file, range_rows)
        of_days = events.filter(pl.col("event_time").is_between(day_bounds(first)[0], day_bounds(last)[1]))
        actions.append(_write_ranges(files, month, of_days, ranges))
    return actions


def _write_ranges(files: Files, month: str, events: pl.LazyFrame, ranges: Iterator[_KeyRange]) -> AddAction:
    """Writes a file with the events of the ranges, one after another."""
    path, summaries = f"{MONTH}={month}/{uuid4()}.parquet", []
    with files.atomic_write(path) as scratch:
        with ParquetWriter(
            scratch,
            LAKE_SCHEMA,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=_DICTIONARY_COLUMNS,
        ) as writer:
            for keys in ranges:
                frame = collect(keys.filter(events)).sort(SORT_COLUMNS)
                summaries.append(summarise(frame))
                table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(LAKE_SCHEMA)
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        written = scratch.stat().st_size
    return add_action(path, written, month, pl.concat(summaries), changes_data=False)


def _split_days(counts: pl.DataFrame) -> list[pl.DataFrame]:
    """The counts of the days of each new file. The files have about as many events each."""
    total = int(counts["events"].sum())
    parts = -(-total // MERGED_FILE_ROWS)
    by_day = counts.group_by("day").agg(total=pl.col("events").sum()).sort("day")
    numbers = by_day.select("day", file=(pl.col("total").cast(pl.Int64).cum_sum() - 1) * parts // total)
    return (
        counts.join(numbers, on="day", maintain_order="left")
        .sort("file", maintain_order=True)
        .partition_by("file", maintain_order=True, include_key=False)
    )


def _key_ranges(counts: pl.DataFrame, range_rows: int) -> Iterator[_KeyRange]:
    """Divides the keys of events, which are in order, into ranges of at most ``range_rows`` events."""
    first = last = None
    total = 0
    for orchestrator, key_day, count in counts.select("orchestrator", "day", "events").iter_rows():
        if first is not None and last is not None and total + count > range_rows:
            yield _KeyRange(*first, *last)
            first, total = None, 0
        last = orchestrator, key_day
        first = first or last
        total += count
    if first is not None and last is not None:
        yield _KeyRange(*first, *last)
