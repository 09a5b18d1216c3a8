"""The Parquet files of a lake as one Arrow dataset, which other engines read and leave out of it what they need not."""

from datetime import datetime

import pyarrow as pa
from pyarrow.dataset import Dataset, Expression, FileSystemDataset, ParquetFileFormat, field
from pyarrow.fs import FileSystem, LocalFileSystem

from queries.errors import StoreUnavailable
from queries.sources.lake import LakeSnapshot, is_local_path

LAKE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64()),
        pa.field("event_time", pa.timestamp("us", "UTC")),
        *(pa.field(name, pa.string()) for name in ("orchestrator", "region", "job_type", "pipeline", "model")),
        *(pa.field(name, pa.float64()) for name in ("success_rate", "round_trip_time", "seg_duration")),
        pa.field("payload", pa.string()),
    ]
)
"""EVENT_SCHEMA with ``payload``, the result as JSON."""


def lake_dataset(snapshot: LakeSnapshot, since: datetime, until: datetime) -> Dataset:
    """The events of a lake with since ≤ event_time ≤ until (aware datetimes), of SCHEMA and in no order.

    A file that has nothing of the time that is asked for is not opened. Raises
    StoreUnavailable for a store that Arrow cannot read.
    """
    uris = snapshot.files["uri"]
    store, parquet = _store(uris.first() or ""), ParquetFileFormat()
    fragments = [
        # a size that is known is not asked for
        parquet.make_fragment(path, filesystem=store, partition_expression=_within(*bounds), file_size=size)
        for path, size, *bounds in zip(
            uris.str.replace("^[a-z0-9]+://", ""), *snapshot.files.select("bytes", "since", "until"), strict=True
        )
    ]
    return FileSystemDataset(fragments, LAKE_SCHEMA, parquet, store).filter(_within(since, until))


def _store(uri: str) -> FileSystem:
    # Arrow's own, as one that calls Python hangs where a scan is given up when the process ends
    if is_local_path(uri):
        return LocalFileSystem()
    if not uri.startswith(("s3://", "s3a://", "gs://")):
        raise StoreUnavailable("SQL reads a lake in a folder, or at s3:// or gs://, and in no other store")
    store, _ = FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    return store


def _within(since: datetime, until: datetime) -> Expression:
    first, last = (pa.scalar(moment, LAKE_SCHEMA.field("event_time").type) for moment in (since, until))
    return (field("event_time") >= first) & (field("event_time") <= last)
