"""A target that is a Delta table, written a day at a time."""

from collections.abc import Iterator
from datetime import date
from itertools import chain

import polars as pl
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from leaderboard.export.datasets import FORMULA_COLUMN, FORMULA_OF_OLDER_RELEASES, Frames
from leaderboard.export.errors import TargetConflict, TargetError, translate_store_errors
from leaderboard.storage.delta import STORE_TIMEOUT_SECONDS, open_or_create
from leaderboard.storage.table_formats import COMPRESSION_LEVEL, to_arrow
from queries import store_options
from queries.concurrency import run_in_thread
from queries.errors import panics_as_unavailable

DAY_COLUMN = "day"
EXPORT_COUNT_KEY = "leaderboard.exports"
"""The application transaction that counts exports. Of two that start with the same count, one fails."""

_PROPERTIES = WriterProperties(compression="ZSTD", compression_level=COMPRESSION_LEVEL)


class DeltaTarget:
    """A Delta table, partitioned by the column ``day``."""

    by_day = True

    def __init__(self, to: str) -> None:
        self.to = to
        self._options = store_options(to, STORE_TIMEOUT_SECONDS)
        self._days: set[str] | None = None

    def has_day(self, day: date) -> bool:
        """Whether the table had rows of the day when this was first called."""
        if self._days is None:
            self._days = self._read_days()
        return day.isoformat() in self._days

    def write(self, frames: Frames, day: date | None) -> int:
        """Replaces the rows of the day in one commit. Also raises TargetConflict.

        A table of an older release gets the columns that it lacks, null in its
        rows of other days. A table that holds another dataset, or scores by
        another formula, is refused.
        """
        if day is None:
            raise ValueError("a Delta table is written by day")
        first = _add_day(next(frames))
        if not first.num_rows and not self.has_day(day):
            return 0
        batches = _BatchReader(first, frames)
        # deltalake panics over some names of folders
        with translate_store_errors(self.to), panics_as_unavailable(f"the table in {self.to} cannot be written to"):
            try:
                table = open_or_create(self.to, first.schema, DAY_COLUMN, self._options)
                self._check_columns(table, first.schema)
                self._check_formula(table, first, day)
                count = (table.transaction_version(EXPORT_COUNT_KEY) or 0) + 1
                write_deltalake(
                    table,
                    pa.RecordBatchReader.from_batches(first.schema, batches.read()),
                    mode="overwrite",
                    predicate=f"{DAY_COLUMN} = '{day}'",
                    schema_mode="merge",
                    writer_properties=_PROPERTIES,
                    # Delta sees no conflict between two writers that both add a new day
                    commit_properties=CommitProperties(app_transactions=[Transaction(EXPORT_COUNT_KEY, count)]),
                )
            except CommitFailedError as error:
                raise TargetConflict(f"another writer of the table in {self.to} was first") from error
            except Exception as error:
                if batches.error is None:
                    raise
                # deltalake reports an error of the reader only as text
                raise batches.error from error
        return batches.rows

    def _check_columns(self, table: DeltaTable, schema: pa.Schema) -> None:
        others = [column.name for column in table.schema().fields if column.name not in schema.names]
        if others:
            raise TargetError(f"the table in {self.to} has other columns ({', '.join(others)}); use another folder")

    def _check_formula(self, table: DeltaTable, first: pa.Table, day: date) -> None:
        if FORMULA_COLUMN not in first.column_names or not first.num_rows:
            return
        formula = first[FORMULA_COLUMN][0].as_py()
        files = pl.DataFrame(table.get_add_actions(flatten=True)).filter(
            pl.col(f"partition.{DAY_COLUMN}").cast(pl.String) != str(day), pl.col("num_records") > 0
        )
        found = files.get_column(f"min.{FORMULA_COLUMN}", default=pl.repeat(None, files.height, eager=True))
        others = set(found.cast(pl.String).fill_null(FORMULA_OF_OLDER_RELEASES)) - {formula}
        if others:
            raise TargetError(
                f"the table in {self.to} has scores by formula {min(others)}, not {formula}; "
                "choose that formula, or use another folder"
            )

    def _read_days(self) -> set[str]:
        with translate_store_errors(self.to):
            try:
                files = DeltaTable(self.to, storage_options=self._options).get_add_actions(flatten=True)
            except TableNotFoundError:
                return set()
        return set(pl.DataFrame(files)[f"partition.{DAY_COLUMN}"].cast(pl.String))


class _BatchReader:
    """Reads frames as record batches, and counts their rows. ``error`` is what reading raised."""

    def __init__(self, first: pa.Table, frames: Frames) -> None:
        self.rows = 0
        self.error: Exception | None = None
        self._tables = chain([first], map(_add_day, frames))

    def read(self) -> Iterator[pa.RecordBatch]:
        """The batches. Frames are read in another thread, as deltalake calls this in one that cannot read a lake."""
        try:
            while (table := run_in_thread(next, self._tables, None).result()) is not None:
                self.rows += table.num_rows
                yield from table.to_batches()
        except Exception as error:
            self.error = error
            raise


def _add_day(frame: pl.DataFrame) -> pa.Table:
    if DAY_COLUMN not in frame.columns:
        frame = frame.with_columns(pl.col("event_time").dt.date().alias(DAY_COLUMN))
    return to_arrow(frame)
