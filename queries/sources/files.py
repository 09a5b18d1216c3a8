"""Events in exported files and tables, for the analyst without a database."""

from collections.abc import Callable
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from deltalake.exceptions import DeltaError

from queries.errors import StoreUnavailable
from queries.schema import EVENT_SCHEMA, conform
from queries.sources.lake import for_polars, store_options

Options = dict[str, Any] | None

# the times are text there
_TYPES = nw.Schema(EVENT_SCHEMA).to_polars() | {"event_time": pl.String}


def _csv(url: str, options: Options) -> pl.LazyFrame:
    return pl.scan_csv(url, schema_overrides=_TYPES, storage_options=options)


def _ndjson(url: str, options: Options) -> pl.LazyFrame:
    # the first row tells which columns there are, and not what kind of number or text they hold
    there = pl.scan_ndjson(url, infer_schema_length=1, storage_options=options).collect_schema()
    types = {name: dtype for name, dtype in _TYPES.items() if name in there}
    return pl.scan_ndjson(url, infer_schema_length=1, schema_overrides=types, storage_options=options)


def _parquet(url: str, options: Options) -> pl.LazyFrame:
    return pl.scan_parquet(url, storage_options=options, hive_partitioning=False)


def _arrow(url: str, options: Options) -> pl.LazyFrame:
    return pl.scan_ipc(url, storage_options=options, hive_partitioning=False)


def _delta(url: str, options: Options) -> pl.LazyFrame:
    return pl.scan_delta(url, storage_options=options)


SCANS: dict[str, Callable[[str, Options], pl.LazyFrame]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".ndjson": _ndjson,
    ".arrow": _arrow,
}
"""How the name of a file ends, and what reads it."""


def is_file(url: str) -> bool:
    """Whether the URL is that of exported files, and not of a folder."""
    return PurePosixPath(url).suffix in SCANS


class FileEvents:
    """Events of what ``leaderboard export events`` writes, or any with the columns of EVENT_SCHEMA.

    ``url`` is the path of a file, or s3://, gs:// or az://, that ends with one
    of SCANS; ``*`` in it stands for any text and ``**`` for any folders, so
    ``exports/events-2026-09-*.parquet`` is the days of a month. Any other is
    that of a Delta table, of which the files are read that have events of the
    window. Times without a zone, in CSV and NDJSON, are in UTC. ``timeout`` is
    seconds for one request to an object store.
    """

    def __init__(self, url: str, *, timeout: float = 20.0) -> None:
        self.url = url
        self._scan = SCANS.get(PurePosixPath(url).suffix, _delta)
        self._options = for_polars(store_options(url, timeout))

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order.

        The rows are read when the frame is collected. Raises StoreUnavailable
        where there is no such file or table or it cannot be read, and SchemaError,
        which names the column, where it is not of events.
        """
        try:
            rows = self._scan(self.url, self._options)
            schema = rows.collect_schema()
        except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
            absent = isinstance(error, FileNotFoundError) or "expanded paths were empty" in str(error)
            meaning = f"there is no file {self.url}" if absent else f"{self.url} cannot be read"
            raise StoreUnavailable(meaning) from error
        if schema.get("event_time") == pl.String:
            rows = rows.with_columns(pl.col("event_time").str.to_datetime(time_unit="us", time_zone="UTC"))
        return conform(rows).select(*EVENT_SCHEMA).filter(pl.col("event_time").is_between(since, until))

    def close(self) -> None:
        """Nothing is kept open."""
