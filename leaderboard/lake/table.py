"""What is written to the lake's table. Each write is one commit: readers see all of it or nothing."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from uuid import uuid4

import polars as pl
import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, Transaction, WriterProperties
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from leaderboard.storage.delta import STORE_ERRORS, STORE_TIMEOUT_SECONDS, first_line, open_or_create
from leaderboard.storage.files import Files
from queries import (
    AS_OF_KEY,
    CHANGES_KEY,
    DATABASE_KEY,
    MEASURES,
    WATERMARK_KEY,
    LakeSnapshot,
    read_lake_snapshot,
    scan_lake_files,
    store_options,
    table_root,
)
from queries import LAKE_SCHEMA as EVENTS
from queries.times import to_micros

MONTH = "month"
COMPRESSION, COMPRESSION_LEVEL = "zstd", 1
ROWS = 100_000
"""Of a row group: within a file, what is outside a window is left out by these."""
DESCRIPTION = {
    "name": "events",
    "description": "Results of jobs, a row each, as they were received; exported by leaderboard lake sync.",
    "configuration": {"delta.logRetentionDuration": "interval 7 days"},
}
ENOUGH_FILES = 32
"""Files in a month from which these are to be made one."""
LAKE_SCHEMA = EVENTS.append(pa.field(MONTH, pa.string()))


class LakeError(Exception):
    """The lake cannot be written to; the message is one sentence."""


class LakeConflict(LakeError):
    """Another writer committed first; nothing of this write is there."""


@dataclass(frozen=True)
class Reached:
    """How far the lake reaches with a commit, as Snapshot tells it."""

    watermark: int
    as_of: datetime
    database: int
    changes: int

    def transactions(self) -> CommitProperties:
        """These as a part of a commit, which fails where another one brought them meanwhile."""
        values = {
            WATERMARK_KEY: self.watermark,
            AS_OF_KEY: to_micros(self.as_of),
            DATABASE_KEY: self.database,
            CHANGES_KEY: self.changes,
        }
        return CommitProperties(app_transactions=[Transaction(name, value) for name, value in values.items()])


class LakeTable:
    """The table at ``url`` (see LakeEvents), as it was when this was made; made anew where there is none.

    Raises LakeError where it can be neither read nor made.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._options = store_options(url, STORE_TIMEOUT_SECONDS)
        try:
            self._table = open_or_create(url, LAKE_SCHEMA, MONTH, self._options, **DESCRIPTION)
        except STORE_ERRORS as error:
            raise LakeError(f"the lake in {url} cannot be opened: {first_line(error)}") from error

    def snapshot(self) -> LakeSnapshot | None:
        """What the table held when it was opened."""
        return read_lake_snapshot(self._table, self._options)

    def write(
        self,
        frames: Iterable[pl.DataFrame],
        reached: Reached,
        *,
        instead: Collection[date] = (),
        check: Callable[[], None] = lambda: None,
    ) -> int:
        """Adds events, of EVENT_SCHEMA with payload, each frame sorted by time, and returns how many.

        They come in the place of all that the table has of the days
        ``instead``. One frame at a time is held. What ``check`` raises, at the
        end, leaves the table as it was. Raises LakeConflict and LakeError.
        """
        files = Files(self.url)
        old = self._having(instead)
        actions: list[AddAction | RemoveAction] = [
            RemoveAction(path, True, _now(), size, {MONTH: month})
            for path, size, month in old.select("path", "size_bytes", f"partition.{MONTH}").iter_rows()
        ]
        events = 0
        try:
            for frame in frames:
                actions += self._written(files, frame)
                events += frame.height
            for frame in self._rest(old, instead):
                actions += self._written(files, frame)
            check()
            self._table.create_write_transaction(
                actions, "append", self._table.schema(), [MONTH], commit_properties=reached.transactions()
            )
        except STORE_ERRORS as error:
            raise self._meaning(error) from error
        return events

    def compact(self, enough: int = 2) -> int:
        """Makes one file of those of each month that has at least so many, and returns how many months those were.

        Raises LakeConflict and LakeError.
        """
        months = self._added().group_by(month=f"partition.{MONTH}").len()
        crowded = months.filter(pl.col("len") >= enough)["month"].sort()
        try:
            for month in crowded:
                self._table.optimize.compact([(MONTH, "=", month)], writer_properties=_properties())
        except STORE_ERRORS as error:
            raise self._meaning(error) from error
        return len(crowded)

    def vacuum(self, hours: int) -> int:
        """Deletes the files that have not been the table's for so long, and returns how many. Raises LakeError."""
        try:
            gone = self._table.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
        except STORE_ERRORS as error:
            raise self._meaning(error) from error
        return len(gone)

    def _added(self) -> pl.DataFrame:
        return pl.DataFrame(self._table.get_add_actions(flatten=True))

    def _having(self, days: Collection[date]) -> pl.DataFrame:
        """The files that have events of one of the days."""
        first, last = pl.col("min.event_time").dt.date(), pl.col("max.event_time").dt.date()
        return self._added().filter(
            pl.any_horizontal(pl.lit(False), *(pl.lit(day).is_between(first, last) for day in sorted(days)))
        )

    def _rest(self, files: pl.DataFrame, days: Collection[date]) -> Iterator[pl.DataFrame]:
        """What the files have of other days."""
        root = table_root(self._table)
        for path in files["path"]:
            events = scan_lake_files([f"{root}/{path}"], self._options)
            other = events.filter(~pl.col("event_time").dt.date().is_in(sorted(days)))
            yield from other.collect_batches(chunk_size=ROWS, maintain_order=True)

    def _written(self, files: Files, frame: pl.DataFrame) -> Iterator[AddAction]:
        """New files with the events, which are nobody's until they are committed."""
        months = frame.with_columns(pl.col("event_time").dt.strftime("%Y-%m").alias(MONTH))
        for (month,), events in months.partition_by(MONTH, include_key=False, as_dict=True).items():
            path = f"{MONTH}={month}/{uuid4()}.parquet"
            body = BytesIO()
            events.write_parquet(
                body, compression=COMPRESSION, compression_level=COMPRESSION_LEVEL, row_group_size=ROWS
            )
            files.put(path, body.getvalue())
            yield AddAction(path, body.getbuffer().nbytes, {MONTH: str(month)}, _now(), True, _statistics(events))

    def _meaning(self, error: Exception) -> LakeError:
        if isinstance(error, CommitFailedError):
            return LakeConflict(f"another writer of the lake in {self.url} was first")
        return LakeError(f"the lake in {self.url} cannot be written to: {first_line(error)}")


def _properties() -> WriterProperties:
    # a dictionary of nearly as many values as there are rows makes a file larger and slower to read
    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(
        compression=COMPRESSION.upper(),
        compression_level=COMPRESSION_LEVEL,
        max_row_group_size=ROWS,
        column_properties=dict.fromkeys(("id", "event_time", *MEASURES, "payload"), plain),
    )


def _statistics(events: pl.DataFrame) -> str:
    """What the table keeps about a file, so that readers can leave it out."""
    of = pl.col("id", "event_time")
    bounds = {
        f"{end}Values": events.select(value).row(0, named=True) for end, value in (("min", of.min()), ("max", of.max()))
    }
    for values in bounds.values():
        values["event_time"] = values["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"numRecords": events.height, **bounds, "nullCount": {"id": 0, "event_time": 0}})


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
