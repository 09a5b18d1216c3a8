"""Merges data files of a month into one that is sorted by SORT_COLUMNS, in bounded memory.

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


def merge_data_files(files: Files, month: str, data_files: pl.DataFrame, options: dict[str, str] | None) -> AddAction:
    """Writes the events of a month's files to a new one, and returns what adds it to the table.

    ``data_files`` has the columns uri, num_records and size_bytes; the files
    have every column. Raises StoreUnavailable, and what ``Files`` raises.
    """
    events = scan_lake_files(data_files["uri"].to_list(), options).select(LAKE_SCHEMA.names)
    rows, size = int(data_files["num_records"].sum()), int(data_files["size_bytes"].sum())
    range_rows = min(MAX_RANGE_ROWS, max(1, rows * MAX_RANGE_BYTES // max(1, size)))
    path, summaries = f"{MONTH}={month}/{uuid4()}.parquet", []
    with files.atomic_write(path) as scratch:
        with ParquetWriter(
            scratch,
            LAKE_SCHEMA,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=_DICTIONARY_COLUMNS,
        ) as writer:
            for keys in _key_ranges(events, range_rows):
                frame = collect(keys.filter(events)).sort(SORT_COLUMNS)
                summaries.append(summarise(frame))
                table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(LAKE_SCHEMA)
                writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        written = scratch.stat().st_size
    return add_action(path, written, month, pl.concat(summaries), changes_data=False)


def _key_ranges(events: pl.LazyFrame, range_rows: int) -> Iterator[_KeyRange]:
    """Divides the keys of the events into ranges of at most ``range_rows`` events, in order."""
    day = pl.col("event_time").dt.date()
    counts = collect(events.group_by("orchestrator", day=day).agg(events=pl.len())).sort("orchestrator", "day")
    first = last = None
    total = 0
    for orchestrator, key_day, count in counts.iter_rows():
        if first is not None and last is not None and total + count > range_rows:
            yield _KeyRange(*first, *last)
            first, total = None, 0
        last = orchestrator, key_day
        first = first or last
        total += count
    if first is not None and last is not None:
        yield _KeyRange(*first, *last)
