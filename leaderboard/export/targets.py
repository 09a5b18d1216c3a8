"""Where exports go: files, one for each day where their names have its date, or a Delta table."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Protocol

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from obstore.exceptions import BaseError

from leaderboard.export.contents import Frames
from leaderboard.export.formats import COMPRESSION, COMPRESSION_LEVEL, FORMATS, to_arrow, write
from leaderboard.store import Files
from queries.lake import SCHEMES, is_folder, store_options

DATE = "{date}"
DELTA = "delta"
DAY = "day"
STORE_TIMEOUT = 120.0
"""Seconds for one request to an object store; a file takes a while."""

_PROPERTIES = WriterProperties(compression=COMPRESSION.upper(), compression_level=COMPRESSION_LEVEL)


class TargetError(Exception):
    """The target cannot be written to, or read; the message is one sentence."""


class TargetConflict(Exception):
    """Another writer of the target was first; the same export may work later."""


class Target(Protocol):
    """Where an export goes, in whole or day by day. Everything raises TargetError, and what reading frames raises."""

    to: str
    of_days: bool
    """Whether it takes days, and not one window."""

    def has(self, day: date) -> bool:
        """Whether the day is there."""

    def write(self, frames: Frames, day: date | None) -> int:
        """Makes or replaces the day, or all, and returns how many rows it has. Nobody sees a part of it."""


def target(to: str, form: str) -> Target:
    """The target with this place and format. Raises ValueError for a place that cannot be one."""
    scheme, separator, rest = to.partition("://")
    if separator and scheme not in SCHEMES:
        raise ValueError(f"must be a path, or a URL that begins with {', '.join(f'{s}://' for s in SCHEMES)}")
    if "{" in to.replace(DATE, "") or "}" in to.replace(DATE, ""):
        raise ValueError(f"may have {DATE} in it, and no other braces")
    if form == DELTA:
        if DATE in to:
            raise ValueError(f"has no {DATE} where the format is delta, as one table has all days")
        return TableTarget(to)
    folder, _, name = (rest if separator else to).rpartition("/")
    if not name or (separator and not folder):
        raise ValueError("must end with the name of a file")
    if is_folder(to) and DATE not in to and Path(to.removeprefix("file://")).is_dir():
        raise ValueError(f"must be a file, and {to} is a folder")
    return FileTarget(to, form)


class FileTarget:
    """A file, or one for each day."""

    def __init__(self, to: str, form: str) -> None:
        self.to = to
        self.of_days = DATE in to
        self._form = form
        self._files = cache(Files)

    def has(self, day: date) -> bool:
        """Whether there is the day's file."""
        folder, name = self._place(day)
        with _failures(self.to):
            return self._files(folder).has(name)

    def write(self, frames: Frames, day: date | None) -> int:
        """Makes or replaces the file, of the day if there is one."""
        folder, name = self._place(day)
        with _failures(self.to), self._files(folder).written(name) as file:
            return write(frames, file, self._form)

    def _place(self, day: date | None) -> tuple[str, str]:
        place = self.to if day is None else self.to.replace(DATE, day.isoformat())
        folder, separator, name = place.rpartition("/")
        return folder or separator or ".", name


class TableTarget:
    """A Delta table with a folder for each day."""

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
        with _failures(self.to):
            try:
                write_deltalake(
                    self.to,
                    pa.RecordBatchReader.from_batches(first.schema, following.batches()),
                    mode="overwrite",
                    predicate=f"{DAY} = '{day}'",
                    partition_by=[DAY],
                    storage_options=self._options,
                    writer_properties=_PROPERTIES,
                )
            except CommitFailedError as error:
                raise TargetConflict(f"another writer of the table in {self.to} was first") from error
            except Exception as error:
                # what the table makes of a failure to read tells less
                raise following.failure or error from error
        return following.rows

    def _found(self) -> set[str]:
        with _failures(self.to):
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
        try:
            for table in self._tables:
                self.rows += table.num_rows
                yield from table.to_batches()
        except Exception as error:
            self.failure = error
            raise


def _of_day(frame: pl.DataFrame) -> pa.Table:
    return to_arrow(frame if DAY in frame.columns else frame.with_columns(pl.col("event_time").dt.date().alias(DAY)))


def suffix_format(to: str) -> str | None:
    """The format that the end of a file's name tells."""
    end = Path(to).suffix.removeprefix(".")
    return end if end in FORMATS else None


@contextmanager
def _failures(to: str) -> Iterator[None]:
    try:
        yield
    except (OSError, BaseError, DeltaError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TargetError(f"{to} cannot be written: {reason}") from error
