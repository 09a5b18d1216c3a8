"""A lake's files and a database's rows as Arrow datasets, from which other engines read only what they need."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from threading import Lock
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.dataset import Dataset, Expression, FileSystemDataset, ParquetFileFormat, Scanner, field
from pyarrow.fs import FileSystem, LocalFileSystem

from queries.errors import StoreUnavailable
from queries.schema import OPTIONAL_COLUMNS
from queries.sources.lake_snapshot import LakeSnapshot
from queries.sources.object_stores import is_local_path
from queries.times import day_bounds

LAKE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("event_time", pa.timestamp("us", "UTC")),
        *(pa.field(name, pa.string()) for name in ("orchestrator", "region", "job_type", "pipeline", "model")),
        *(pa.field(name, pa.float64()) for name in ("success_rate", "round_trip_time", "seg_duration")),
        *(pa.field(name, pa.string()) for name in ("outcome", "error_kind")),
        pa.field("warm", pa.bool_()),
        *(pa.field(name, pa.string()) for name in ("service_uri", "pipeline_slug")),
        pa.field("payload", pa.string()),
    ]
)
"""EVENT_SCHEMA with ``payload``, the result as JSON."""
BUCKET = pa.field("bucket", LAKE_SCHEMA.field("event_time").type)
"""The start of the event's UTC day."""
OLDER_LAKE_SCHEMA = pa.schema([column for column in LAKE_SCHEMA if column.name not in OPTIONAL_COLUMNS])


def lake_datasets(snapshot: LakeSnapshot, since: datetime, until: datetime) -> list[Dataset]:
    """The events of a lake with since ≤ event_time ≤ until (aware datetimes), in no order.

    There is one dataset, as LAKE_SCHEMA, or two if the lake has files of an
    older release: the second one has their events as OLDER_LAKE_SCHEMA.

    Files without events in a requested time are not opened. Raises
    StoreUnavailable for an object store that Arrow cannot read, and if the
    lake may lack some of the events.
    """
    snapshot.require_complete(since)
    complete, older = snapshot.files.filter("complete"), snapshot.files.filter(~pl.col("complete"))
    datasets = [_dataset(complete, LAKE_SCHEMA, since, until)]
    return datasets if older.is_empty() else [*datasets, _dataset(older, OLDER_LAKE_SCHEMA, since, until)]


def daily_lake_datasets(snapshot: LakeSnapshot, since: datetime, until: datetime) -> list[Dataset]:
    """As ``lake_datasets``, with a column ``bucket``: the start of the event's UTC day.

    Files without events in a requested ``bucket`` are not opened either.
    """
    return [DailyDataset.of(events, snapshot.days()) for events in lake_datasets(snapshot, since, until)]


class DailyDataset(FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """Events with a column ``bucket``, for DuckDB.

    DuckDB hands conditions that compare a column with a constant to
    ``scanner``. It cannot conclude from one about the day which times are
    requested. Here each day is a fragment, though not a file: those that
    satisfy the condition tell the times.
    """

    events: Dataset

    @classmethod
    def of(cls, events: Dataset, days: Sequence[date]) -> Self:
        """The events, all of which are of these UTC days."""
        parquet, store = ParquetFileFormat(), LocalFileSystem()
        fragments = [parquet.make_fragment(day.isoformat(), store, partition_expression=_is_day(day)) for day in days]
        daily = cls(fragments, events.schema.append(BUCKET), parquet, store)
        daily.events = events
        return daily

    def scanner(self, columns: Sequence[str], filter: Expression | None = None, **options: Any) -> Scanner:  # noqa: A002
        """Reads columns of the events that satisfy the filter. DuckDB passes these by name."""
        days = [date.fromisoformat(fragment.path) for fragment in self.get_fragments(filter)]
        # with their names in text, too many columns are read rather than too few
        used = [name for name in self.events.schema.names if name in columns or name in str(filter)]
        bucket = pc.floor_temporal(field("event_time"), unit="day")
        requested = _between(day_bounds(min(days))[0], day_bounds(max(days))[1]) if days else pc.scalar(value=False)
        events = self.events.scanner({name: field(name) for name in used} | {"bucket": bucket}, filter=requested)
        return Scanner.from_batches(events.to_reader(), columns=columns, filter=filter, **options)


class DatabaseDataset(FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """Events of a database as LAKE_SCHEMA with a column ``bucket``, for DuckDB.

    They are read when a statement needs them, from the first to the last day
    that its conditions on event_time and bucket leave. As in DailyDataset,
    each day is a fragment. What was read last is kept for the next scan.
    """

    read: Callable[[datetime, datetime, bool], pl.DataFrame]
    lock: Lock
    kept: tuple[datetime, datetime, bool, pa.Table] | None

    @classmethod
    def of(cls, days: Sequence[date], read: Callable[[datetime, datetime, bool], pl.DataFrame]) -> Self:
        """The events of these days. ``read`` returns those between two moments, with their payloads if True."""
        parquet, store = ParquetFileFormat(), LocalFileSystem()
        fragments = [
            parquet.make_fragment(
                day.isoformat(), store, partition_expression=_is_day(day) & _between(*day_bounds(day))
            )
            for day in days
        ]
        dataset = cls(fragments, LAKE_SCHEMA.append(BUCKET), parquet, store)
        dataset.read, dataset.lock, dataset.kept = read, Lock(), None
        return dataset

    def scanner(self, columns: Sequence[str], filter: Expression | None = None, **options: Any) -> Scanner:  # noqa: A002
        """Reads columns of the events that satisfy the filter. DuckDB passes these by name."""
        days = [date.fromisoformat(fragment.path) for fragment in self.get_fragments(filter)]
        needs_payload = "payload" in columns or "payload" in str(filter)
        events = self.schema.empty_table()
        if days:
            events = self._events(day_bounds(min(days))[0], day_bounds(max(days))[1], needs_payload)
        return Scanner.from_batches(events.to_reader(), columns=columns, filter=filter, **options)

    def _events(self, since: datetime, until: datetime, payload: bool) -> pa.Table:
        # the scans of one statement may run at the same time
        with self.lock:
            if self.kept is not None:
                first, last, has_payload, events = self.kept
                if first <= since and until <= last and has_payload >= payload:
                    return events
            self.kept = None
            frame = self.read(since, until, payload).with_columns(
                pl.col(pl.Categorical).cast(pl.String), bucket=pl.col("event_time").dt.truncate("1d")
            )
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            events = table.cast(pa.schema([self.schema.field(name) for name in table.column_names]))
            self.kept = since, until, payload, events
            return events


def _is_day(day: date) -> Expression:
    return field(BUCKET.name) == pa.scalar(day_bounds(day)[0], BUCKET.type)


def _dataset(files: pl.DataFrame, schema: pa.Schema, since: datetime, until: datetime) -> Dataset:
    uris = files["uri"]
    store, parquet = _file_system(str(uris.first() or "")), ParquetFileFormat()
    fragments = [
        # with a known size, Arrow does not request it
        parquet.make_fragment(path, filesystem=store, partition_expression=_between(*bounds), file_size=size)
        for path, size, *bounds in zip(
            uris.str.replace("^[a-z0-9]+://", ""), *files.select("bytes", "since", "until"), strict=True
        )
    ]
    return FileSystemDataset(fragments, schema, parquet, store).filter(_between(since, until))


def _file_system(uri: str) -> FileSystem:
    # Arrow's own: a file system that calls Python would hang when a scan is abandoned at the end of the process
    if is_local_path(uri):
        return LocalFileSystem()
    if not uri.startswith(("s3://", "s3a://", "gs://")):
        raise StoreUnavailable("SQL can read a lake in a folder or at s3:// or gs://, but in no other store")
    store, _ = FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return store


def _between(since: datetime, until: datetime) -> Expression:
    first, last = (pa.scalar(moment, LAKE_SCHEMA.field("event_time").type) for moment in (since, until))
    return (field("event_time") >= first) & (field("event_time") <= last)
