"""A lake's Parquet files as an Arrow dataset, from which other engines read only the columns and files they need."""

from collections.abc import Sequence
from datetime import date, datetime
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
        bucket = pa.field("bucket", LAKE_SCHEMA.field("event_time").type)
        parquet, store = ParquetFileFormat(), LocalFileSystem()
        fragments = [
            parquet.make_fragment(
                day.isoformat(),
                store,
                partition_expression=field("bucket") == pa.scalar(day_bounds(day)[0], bucket.type),
            )
            for day in days
        ]
        daily = cls(fragments, events.schema.append(bucket), parquet, store)
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
