"""A Delta table that exports go to, a day at a time."""

from collections.abc import Iterator
from datetime import date
from itertools import chain

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from leaderboard.export.datasets import Frames
from leaderboard.export.errors import TargetConflict, failures
from leaderboard.export.file_target import COMPRESSION, COMPRESSION_LEVEL, to_arrow
from leaderboard.storage.delta import STORE_TIMEOUT, open_or_create
from queries import store_options
from queries.concurrency import run_in_thread

DAY = "day"
EXPORTS = "leaderboard.exports"
"""The application transaction that counts the exports: of two that began with the same count, one fails."""

_PROPERTIES = WriterProperties(compression=COMPRESSION.upper(), compression_level=COMPRESSION_LEVEL)


class TableTarget:
    """A Delta table with a folder for each day, in a column of this name."""

    of_days = True

    def __init__(self, to: str) -> None:
        self.to = to
        self._options = store_options(to, STORE_TIMEOUT)
        self._days: set[str] | None = None

    def has(self, day: date) -> bool:
        """Whether the table has rows of the day."""
        if self._days is None:
            self._days = self._found()
        return day.isoformat() in self._days

    def write(self, frames: Frames, day: date | None) -> int:
        """Replaces the rows of the day, in one commit. Raises TargetConflict as well."""
        first = _of_day(next(frames))
        if not first.num_rows and not self.has(day):
            return 0
        following = _Following(first, frames)
        with failures(self.to):
            try:
                table = open_or_create(self.to, first.schema, DAY, self._options)
                count = (table.transaction_version(EXPORTS) or 0) + 1
                write_deltalake(
                    table,
                    pa.RecordBatchReader.from_batches(first.schema, following.batches()),
                    mode="overwrite",
                    predicate=f"{DAY} = '{day}'",
                    writer_properties=_PROPERTIES,
                    # days that were not there conflict with nothing else
                    commit_properties=CommitProperties(app_transactions=[Transaction(EXPORTS, count)]),
                )
            except CommitFailedError as error:
                raise TargetConflict(f"another writer of the table in {self.to} was first") from error
            except Exception as error:
                if following.failure is None:
                    raise
                # what the table makes of it tells less
                raise following.failure from error
        return following.rows

    def _found(self) -> set[str]:
        with failures(self.to):
            try:
                added = DeltaTable(self.to, storage_options=self._options).get_add_actions(flatten=True)
            except TableNotFoundError:
                return set()
        return set(pl.DataFrame(added)[f"partition.{DAY}"].cast(pl.String))


class _Following:
    """A table and the frames after it as batches, with how many rows they had and why they ended early."""

    def __init__(self, first: pa.Table, frames: Frames) -> None:
        self.rows = 0
        self.failure: Exception | None = None
        self._tables = chain([first], map(_of_day, frames))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The batches, for the thread that writes the table, on which no lake can be read."""
        try:
            while (table := run_in_thread(next, self._tables, None).result()) is not None:
                self.rows += table.num_rows
                yield from table.to_batches()
        except Exception as error:
            self.failure = error
            raise


def _of_day(frame: pl.DataFrame) -> pa.Table:
    return to_arrow(frame if DAY in frame.columns else frame.with_columns(pl.col("event_time").dt.date().alias(DAY)))
