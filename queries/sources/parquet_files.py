"""The Parquet files of a lake: how they are scanned, and what a failed read means."""

import polars as pl

from queries.errors import panics_as_unavailable, unreadable_as_unavailable
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
