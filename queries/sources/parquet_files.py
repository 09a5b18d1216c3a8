"""The Parquet files of a lake: how they are scanned, and what a failed read means."""

import polars as pl

from queries.errors import StoreUnavailable, first_line, panics_as_unavailable
from queries.sources.object_stores import polars_store_options

UNREADABLE_FILE = ("parquet: ", "unable to decode the encoded schema stored in ARROW:schema")
"""How the messages of Polars begin when a Parquet file is truncated or corrupt."""


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


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """Collects a frame that may read files of a lake.

    Raises StoreUnavailable where a file is missing, truncated or corrupt, its
    object store cannot be reached, or Polars panics. Any other failure, such as a mistake
    in an expression, rises as Polars' own error.
    """
    try:
        with panics_as_unavailable("the events cannot be read"):
            return frame.collect(engine="streaming")
    except OSError as error:
        # missing files and object stores; a frame reads nothing else from outside
        raise StoreUnavailable(f"a file of the lake cannot be read: {first_line(error)}") from error
    except pl.exceptions.PolarsError as error:
        # Polars raises ComputeError for unreadable files and for faulty expressions alike; only the text differs
        if str(error).startswith(UNREADABLE_FILE):
            raise StoreUnavailable(f"a file of the lake cannot be read: {first_line(error)}") from error
        raise
