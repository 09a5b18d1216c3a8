"""The Parquet files of a lake: how they are scanned, and what a failed read means."""

from functools import lru_cache
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from queries.errors import StoreUnavailable, panics_as_unavailable, unreadable_as_unavailable
from queries.sources.object_stores import polars_store_options


def scan_lake_files(files: list[str], options: dict[str, str] | None) -> pl.LazyFrame:
    """The rows of a lake's files (paths or URLs), with the columns of the first one; the others may have more.

    ``options`` are those of store_options.
    """
    return pl.scan_parquet(
        files,
        # a folder may have any name, which is no pattern
        glob=False,
        hive_partitioning=False,
        extra_columns="ignore",
        storage_options=polars_store_options(options),
    )


class RowGroup(NamedTuple):
    """The orchestrators of a row group are between these two; None where the file does not say."""

    first: str | None
    last: str | None
    rows: int

    def may_have(self, orchestrator: str) -> bool:
        """Whether a reader of this orchestrator's results has to read the row group."""
        return self.first is None or self.last is None or self.first <= orchestrator <= self.last


@lru_cache(maxsize=4096)
def row_groups(path: str) -> tuple[RowGroup, ...]:
    """The row groups of a lake's file on this machine, which never changes. Raises StoreUnavailable."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreUnavailable(f"{path} cannot be read: {error}") from error
    column = metadata.schema.names.index("orchestrator")
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    bounds = ((group.column(column).statistics, group.num_rows) for group in groups)
    return tuple(
        RowGroup(found.min, found.max, rows) if found is not None and found.has_min_max else RowGroup(None, None, rows)
        for found, rows in bounds
    )


def collect(frame: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Collects a frame that may read files of a lake. A DataFrame is returned as it is.

    Raises StoreUnavailable where a file cannot be read, and where Polars
    panics. Any other failure, such as a mistake in an expression, rises as
    Polars' own error.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    with unreadable_as_unavailable(), panics_as_unavailable("the events cannot be read"):
        return frame.collect(engine="streaming")
