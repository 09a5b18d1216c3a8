"""Decoded files: their names, their format, and how they are mapped into memory.

A decoded file is an uncompressed Arrow IPC file with the columns of
EVENT_SCHEMA and text as codes of the folder's dictionary. It has one record
batch per job type, sorted by time. Its name says which file of the lake it has,
and its size and time of modification, so that one that was changed is noticed.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.ipc

from queries.errors import first_line
from queries.sources.decoded.atomic_files import partial_file, publish, sync_to_disk
from queries.sources.decoded.categories import NO_EVENTS, TextCategories
from queries.sources.decoded.dictionary import TextDictionary
from queries.sources.decoded.sorted_times import SortedTimes
from queries.sources.text_encoding import TEXT_COLUMNS
from queries.times import from_micros

FORMAT_VERSION = 1
"""Raise it when a release decodes the same file of the lake to other values."""
SUFFIX = ".arrow"
MAX_KEPT_ROWS = 8
"""Of how many queries a batch keeps the rows. Sums by orchestrator and region take 0.1 MiB."""
DECODED_EVENT_BYTES = 80
"""About what one event takes in a decoded file."""

_HEADER_KEY = b"leaderboard.decoded"
_SCHEMA: pa.Schema = NO_EVENTS.with_columns(pl.col(TEXT_COLUMNS).cast(pl.UInt32)).to_arrow().schema


class UnusableFile(Exception):
    """A decoded file is damaged, or belongs to another dictionary, release or file of the lake."""


class UnknownCodes(UnusableFile):
    """A decoded file has a code without a text."""


class DecodedFileName(NamedTuple):
    """The parts of a name. ``key`` is that of a file of the lake, see ``file_key``."""

    key: str
    size: int
    modified_ns: int

    @classmethod
    def parse(cls, name: str) -> "DecodedFileName | None":
        """The parts of a file's name, or None where it is no name of a decoded file."""
        key, *numbers = name.removesuffix(SUFFIX).split("-")
        if not name.endswith(SUFFIX) or len(numbers) != 2 or not all(map(str.isdecimal, numbers)):
            return None
        return cls(key, *map(int, numbers))

    def __str__(self) -> str:
        return f"{self.key}-{self.size}-{self.modified_ns}{SUFFIX}"


def file_key(uri: str) -> str:
    """Names a file of the lake in the names of decoded files."""
    return blake2b(uri.encode(), digest_size=16).hexdigest()


def list_decoded_files(folder: Path) -> Iterator[tuple[DecodedFileName, bool]]:
    """The decoded files of a folder, and whether each one is as it was written. Raises OSError."""
    for path in folder.iterdir():
        if (name := DecodedFileName.parse(path.name)) is not None:
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            yield name, (status.st_size, status.st_mtime_ns) == (name.size, name.modified_ns)


def write_decoded_file(folder: Path, uri: str, batches: Iterable[pl.DataFrame], dictionary: TextDictionary) -> None:
    """Writes the events of a file of the lake, with text as codes (UInt32) of the dictionary. Raises OSError."""
    key = file_key(uri)
    header = _expected_header(key, dictionary) | {"texts": dictionary.texts.len()}
    schema = _SCHEMA.with_metadata({_HEADER_KEY: json.dumps(header)})
    with partial_file(folder) as path:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, schema) as writer:
            for frame in batches:
                writer.write_table(frame.rechunk().to_arrow().cast(_SCHEMA))
        # a network file system may set the time of modification only now
        sync_to_disk(path)
        status = path.stat()
        publish(path, folder / str(DecodedFileName(key, status.st_size, status.st_mtime_ns)))


@dataclass(frozen=True, eq=False)
class MappedBatch:
    """The events of one job type in a file, sorted by time: as codes, and with text of some categories.

    Threads may share a MappedBatch.
    """

    codes: pl.DataFrame
    events: pl.DataFrame
    _kept_rows: dict[Hashable, pl.DataFrame] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        """When the first event was."""
        return from_micros(self._times.first)

    @property
    def until(self) -> datetime:
        """When the last event was."""
        return from_micros(self._times.last)

    def rows(self, key: Hashable, query: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
        """The rows of a query over all events, which are kept under ``key``."""
        if (rows := self._kept_rows.get(key)) is None:
            rows = query(self.events)
            if len(self._kept_rows) >= MAX_KEPT_ROWS:
                self._kept_rows.clear()
            self._kept_rows[key] = rows
        return rows

    def slice(self, since: int, until: int) -> pl.DataFrame:
        """The events with since ≤ event_time ≤ until, without a copy."""
        return self._times.slice(self.events, since, until)

    def recoded(self, categories: TextCategories) -> "MappedBatch":
        """The same events with text of other categories."""
        return MappedBatch(self.codes, categories.apply(self.codes))

    def count_from(self, moment: int, *, inclusive: bool) -> int:
        """How many events are at the moment or later, or later only."""
        return self._times.count_from(moment, inclusive=inclusive)

    @cached_property
    def _times(self) -> SortedTimes:
        return SortedTimes(self.codes)


def open_decoded_file(
    folder: Path, name: DecodedFileName, events: int, dictionary: TextDictionary
) -> list[pa.RecordBatch]:
    """The record batches of a decoded file with so many events. Pages of the file are read when they are used.

    Raises OSError, and UnusableFile where it is not the file that it should be.
    """
    try:
        with pa.memory_map(str(folder / str(name))) as source:
            reader = pa.ipc.open_file(source)
            _check_schema(reader.schema, name, dictionary)
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        for batch in batches:
            batch.validate()
    except pa.ArrowInvalid as error:
        raise UnusableFile(f"{name} is damaged: {first_line(error)}") from error
    if sum(batch.num_rows for batch in batches) != events:
        raise UnusableFile(f"{name} does not have {events} events")
    return batches


def map_decoded_file(
    folder: Path, name: DecodedFileName, events: int, dictionary: TextDictionary, categories: TextCategories
) -> list[MappedBatch]:
    """The batches of a decoded file as ``open_decoded_file`` opens it, and raises, with text of these categories."""
    frames = [pl.DataFrame(pl.from_arrow(batch)) for batch in open_decoded_file(folder, name, events, dictionary)]
    try:
        return [MappedBatch(frame, categories.apply(frame)) for frame in frames]
    except pl.exceptions.ComputeError as error:
        raise UnknownCodes(f"{name} is damaged: {first_line(error)}") from error


def _expected_header(key: str, dictionary: TextDictionary) -> dict[str, object]:
    return {"format": FORMAT_VERSION, "key": key, "lineage": dictionary.lineage}


def _check_schema(schema: pa.Schema, name: DecodedFileName, dictionary: TextDictionary) -> None:
    try:
        header = json.loads((schema.metadata or {})[_HEADER_KEY])
        texts = int(header.pop("texts"))
    except (KeyError, ValueError, TypeError) as error:
        raise UnusableFile(f"{name} is no decoded file") from error
    if header != _expected_header(name.key, dictionary) or not schema.equals(_SCHEMA):
        raise UnusableFile(f"{name} is of another release, folder or file of the lake")
    if texts > dictionary.texts.len():
        raise UnusableFile(f"{name} has more texts than the dictionary")
