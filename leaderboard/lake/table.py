"""Writes to the lake's Delta table. Each write is one commit: readers see all of it or nothing."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Self

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction

from leaderboard.lake.chunks import Progress
from leaderboard.lake.compaction import is_small, merge_data_files, mergeable
from leaderboard.lake.data_files import (
    MAX_FILE_ROWS,
    MONTH,
    NewFiles,
    complete_events,
    remove_actions,
)
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.storage.delta import STORE_ERRORS, STORE_TIMEOUT_SECONDS, first_line, open_or_create
from leaderboard.storage.files import Files
from queries import (
    AS_OF_KEY,
    CHANGES_KEY,
    COMPLETE_SINCE_KEY,
    DATABASE_KEY,
    LAKE_SCHEMA,
    PRUNED_ID_KEY,
    TARGET_KEY,
    WATERMARK_KEY,
    LakeSnapshot,
    lake_data_files,
    read_lake_snapshot,
    scan_lake_files,
    store_options,
    table_root,
)
from queries.times import MIN_TIME, to_micros

TABLE_SCHEMA = LAKE_SCHEMA.append(pa.field(MONTH, pa.string()))
TABLE_DESCRIPTION = {
    "name": "events",
    "description": "Results of jobs as the service received them, one row each. Written by leaderboard lake sync.",
    "configuration": {"delta.logRetentionDuration": "interval 7 days"},
}
MAX_SMALL_FILES_PER_MONTH = 32
"""A month that has this many small files has them merged. The others are merged when the month is over."""
QUIET_TIME = timedelta(days=1)
"""A month is over when no events were added to it for this long."""


@dataclass(frozen=True)
class SyncPosition:
    """How far the lake reaches with a commit. LakeSnapshot explains the fields."""

    watermark: int
    as_of: datetime
    database: int
    changes: int
    target: int = 0
    complete_since: datetime = MIN_TIME
    pruned_id: int = 0

    @classmethod
    def of(cls, snapshot: LakeSnapshot) -> Self:
        """The position that a lake has already."""
        return cls(**{field.name: getattr(snapshot, field.name) for field in fields(cls)})

    def commit_properties(self) -> CommitProperties:
        """The position as application transactions, for a commit that fails if another writer was first.

        It is not repeated on a newer version of the table: deltalake would see
        no conflict with a compaction that removed the same files.
        """
        versions = {
            WATERMARK_KEY: self.watermark,
            AS_OF_KEY: to_micros(self.as_of),
            DATABASE_KEY: self.database,
            CHANGES_KEY: self.changes,
            TARGET_KEY: self.target,
            COMPLETE_SINCE_KEY: to_micros(self.complete_since),
            PRUNED_ID_KEY: self.pruned_id,
        }
        transactions = [Transaction(key, version) for key, version in versions.items()]
        return CommitProperties(app_transactions=transactions, max_commit_retries=0)


@dataclass(frozen=True)
class StagedChange:
    """Data files that are written but not committed, and how many new events they have."""

    actions: list[AddAction | RemoveAction]
    events: int


class LakeTable:
    """The Delta table at ``url`` (see LakeEvents), at its newest version. It is created if there is none.

    Raises LakeError if it can be neither opened nor created.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._options = store_options(url, STORE_TIMEOUT_SECONDS)
        try:
            self._table = open_or_create(url, TABLE_SCHEMA, MONTH, self._options, **TABLE_DESCRIPTION)
        except STORE_ERRORS as error:
            raise LakeError(f"the lake in {url} cannot be opened: {first_line(error)}") from error

    @property
    def id(self) -> str:
        """The table's own id. It is the same for all who share the table, whatever its URL is for them."""
        return str(self._table.metadata().id)

    def snapshot(self) -> LakeSnapshot | None:
        """The table as it was when it was opened or last committed to, or None before the first sync."""
        return read_lake_snapshot(self._table, self._options)

    def stage(self, frames: Iterable[pl.DataFrame], replace_days: Collection[date] = ()) -> StagedChange:
        """Writes data files with the events of the frames, which readers see once ``commit`` has run.

        The frames have the columns of EVENT_SCHEMA and ``payload``; one is held
        in memory at a time. The events replace all that the table has of
        ``replace_days``. Raises LakeError.
        """
        old_files, events = self._files_with_days(replace_days), 0
        with self._new_files() as new:
            for frame in frames:
                new.write(frame)
                events += frame.height
            for frame in self._read_other_days(old_files, replace_days):
                new.write(frame)
        return StagedChange([*remove_actions(old_files), *new.actions], events)

    def add_columns(self) -> None:
        """Adds the columns that the table lacks because an older release created it. Raises LakeConflict, LakeError."""
        found = {field.name for field in self._table.schema().fields}
        missing = [field for field in Schema.from_arrow(TABLE_SCHEMA).fields if field.name not in found]
        try:
            if missing:
                self._table.alter.add_columns(missing)
        except STORE_ERRORS as error:
            raise self._translate(error) from error

    def stage_upgrade(self, progress: Progress) -> StagedChange:
        """Writes the events of the files that are not complete (see LakeSnapshot) to new files, with every column.

        It holds a limited number of events in memory at a time. Raises LakeError.
        """
        root, older_files = table_root(self._table), self._data_files().filter(~pl.col("complete"))
        done, total = 0, int(older_files["num_records"].sum())
        with self._new_files() as new:
            for path in older_files["path"]:
                for events in complete_events(f"{root}/{path}", self._options):
                    progress("upgrading", done, total)
                    new.write(events)
                    done += events.height
        return StagedChange([*remove_actions(older_files), *new.actions], 0)

    def commit(self, change: StagedChange, position: SyncPosition) -> None:
        """Makes a staged change visible, together with the position that the lake then has.

        Raises LakeConflict, and LakeError.
        """
        properties, committed = position.commit_properties(), self._table.version() + 1
        try:
            self._table.create_write_transaction(
                change.actions, "append", self._table.schema(), [MONTH], commit_properties=properties
            )
            self._table.update_incremental()
        except STORE_ERRORS as error:
            raise self._translate(error) from error
        if self._table.version() != committed:
            raise LakeConflict(f"another writer of the lake in {self.url} committed after this one")

    def compact(self) -> int:
        """Merges the files of each month into a few of whole days, and returns the number of months that changed.

        Files that were merged before stay as they are, and so do those of an
        older release until they are upgraded. Raises LakeConflict, LakeError
        and StoreUnavailable.
        """
        return self._merge_months(mergeable(self._data_files().filter("complete")))

    def tidy(self) -> None:
        """Merges files as a service does after each sync, so that a month has few, and none is rewritten often.

        A month with MAX_SMALL_FILES_PER_MONTH small files has these merged. A
        month that got no events for a day is compacted. Raises LakeConflict,
        LakeError and StoreUnavailable.
        """
        month = f"partition.{MONTH}"
        data_files = (
            self._data_files()
            .filter("complete")
            .with_columns(
                small_files=is_small().sum().over(month),
                newest=pl.col("modification_time").max().over(month),
            )
        )
        is_quiet = pl.col("newest") < (datetime.now(UTC) - QUIET_TIME).timestamp() * 1000
        has_many = pl.col("small_files") >= MAX_SMALL_FILES_PER_MONTH
        self._merge_months(
            pl.concat([mergeable(data_files.filter(is_quiet)), data_files.filter(~is_quiet & has_many & is_small())])
        )

    def vacuum(self, keep_hours: int) -> int:
        """Deletes the files that have not been part of the table for ``keep_hours``, and returns their number.

        Raises LakeError.
        """
        try:
            deleted = self._table.vacuum(keep_hours, dry_run=False, enforce_retention_duration=False, full=True)
        except STORE_ERRORS as error:
            raise self._translate(error) from error
        return len(deleted)

    @contextmanager
    def _new_files(self) -> Iterator[NewFiles]:
        """Files to write. They are deleted again if they cannot all be written. Raises LakeError."""
        new = NewFiles(Files(self.url))
        try:
            yield new
        except BaseException as error:
            new.delete()
            if isinstance(error, (*STORE_ERRORS, pl.exceptions.PolarsError)):
                raise self._translate(error) from error
            raise

    def _merge_months(self, data_files: pl.DataFrame) -> int:
        """Merges these files month by month, each in one commit, and counts the months that had several of them."""
        snapshot, files, root = self.snapshot(), Files(self.url), table_root(self._table)
        located = data_files.with_columns(uri=pl.lit(f"{root}/") + pl.col("path"))
        months = [
            (str(month), of_month)
            for (month,), of_month in located.sort(f"partition.{MONTH}").group_by(
                f"partition.{MONTH}", maintain_order=True
            )
            if of_month.height > 1
        ]
        if snapshot is None:
            return 0
        for month, of_month in months:
            try:
                merged = merge_data_files(files, month, of_month, self._options)
            except STORE_ERRORS as error:
                raise self._translate(error) from error
            removed = remove_actions(of_month, changes_data=False)
            self.commit(StagedChange([*removed, *merged], 0), SyncPosition.of(snapshot))
        return len(months)

    def _data_files(self) -> pl.DataFrame:
        return lake_data_files(self._table)

    def _files_with_days(self, days: Collection[date]) -> pl.DataFrame:
        """The files whose span of time includes one of the days."""
        first_day, last_day = pl.col("min.event_time").dt.date(), pl.col("max.event_time").dt.date()
        return self._data_files().filter(
            pl.any_horizontal(pl.lit(False), *(pl.lit(day).is_between(first_day, last_day) for day in sorted(days)))
        )

    def _read_other_days(self, data_files: pl.DataFrame, days: Collection[date]) -> Iterator[pl.DataFrame]:
        """The events of the files that are not of one of the days."""
        root = table_root(self._table)
        for path in data_files["path"]:
            events = scan_lake_files([f"{root}/{path}"], self._options)
            others = events.filter(~pl.col("event_time").dt.date().is_in(sorted(days)))
            yield from others.collect_batches(chunk_size=MAX_FILE_ROWS, maintain_order=True)

    def _translate(self, error: Exception) -> LakeError:
        if isinstance(error, CommitFailedError):
            return LakeConflict(f"another writer of the lake in {self.url} committed first")
        return LakeError(f"the lake in {self.url} cannot be written to: {first_line(error)}")
