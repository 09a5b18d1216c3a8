"""Events in exported files and tables, for analysts without a database."""

from collections.abc import Callable, Mapping
from datetime import datetime
from glob import glob
from pathlib import PurePosixPath
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
from deltalake.exceptions import DeltaError

from queries.errors import StoreUnavailable, first_line
from queries.schema import EVENT_SCHEMA, NO_ERRORS, OPTIONAL_COLUMNS, conform, slug
from queries.scoring.exclusions import Exclusion
from queries.sources.object_stores import is_local_path, polars_store_options, store_options
from queries.sources.text_encoding import decode_text

Options = dict[str, Any] | None

_TYPES = nw.Schema(EVENT_SCHEMA).to_polars()
# CSV and NDJSON have times as text
_TEXT_FILE_TYPES = _TYPES | {"event_time": pl.String()}


def _scan_csv(url: str, options: Options) -> pl.LazyFrame:
    return pl.scan_csv(
        url,
        schema_overrides=_TEXT_FILE_TYPES,
        missing_columns="insert",
        extra_columns="ignore",
        storage_options=options,
    )


def _scan_ndjson(url: str, options: Options) -> pl.LazyFrame:
    # the first row says which columns there are, but not which kind of number or text they hold
    columns = pl.scan_ndjson(url, infer_schema_length=1, storage_options=options).collect_schema()
    types = {name: _TEXT_FILE_TYPES.get(name, dtype) for name, dtype in columns.items()}
    return pl.scan_ndjson(url, schema=_complete(types), storage_options=options)


def _scan_parquet(url: str, options: Options) -> pl.LazyFrame:
    first = pl.scan_parquet(url, storage_options=options, hive_partitioning=False).collect_schema()
    return pl.scan_parquet(
        url,
        schema=_complete(first),
        missing_columns="insert",
        extra_columns="ignore",
        storage_options=options,
        hive_partitioning=False,
    )


def _scan_arrow(url: str, options: Options) -> pl.LazyFrame:
    if not is_local_path(url) or "*" not in url:
        return pl.scan_ipc(url, storage_options=options, hive_partitioning=False)
    # unlike the other scans, this one has no option for columns that only some files have
    files = [pl.scan_ipc(file, glob=False, hive_partitioning=False) for file in sorted(glob(url, recursive=True))]
    if not files:
        raise FileNotFoundError(url)
    return pl.concat(files, how="diagonal_relaxed")


def _scan_delta(url: str, options: Options) -> pl.LazyFrame:
    return pl.scan_delta(url, storage_options=options)


def _complete(columns: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """The columns of the first file with those that files of older releases lack."""
    return dict(columns) | {name: _TYPES[name] for name in OPTIONAL_COLUMNS if name not in columns}


SCANS: dict[str, Callable[[str, Options], pl.LazyFrame]] = {
    ".parquet": _scan_parquet,
    ".csv": _scan_csv,
    ".ndjson": _scan_ndjson,
    ".arrow": _scan_arrow,
}
"""File extensions and the functions that scan them."""


def is_file(url: str) -> bool:
    """Whether the URL is that of exported files, and not of a folder."""
    return PurePosixPath(url).suffix in SCANS


class FileEvents:
    """Events of files that ``leaderboard export events`` writes, or of others with the columns of EVENT_SCHEMA.

    ``url`` is a path, or s3://, gs:// or az://. With an extension of SCANS it
    names a file, or several: ``*`` matches any text and ``**`` any folders,
    so ``exports/events-2026-09-*.parquet`` is the days of a month. Some of
    them may lack OPTIONAL_COLUMNS, as older releases wrote them. Any other
    URL is that of a Delta table, of which only the files with events of the
    window are read.

    Times without a zone, in CSV and NDJSON, are in UTC. ``timeout`` is the
    limit for one request to an object store in seconds.
    """

    def __init__(self, url: str, *, timeout: float = 20.0) -> None:
        self.url = url
        self._scan = SCANS.get(PurePosixPath(url).suffix, _scan_delta)
        self._options = polars_store_options(store_options(url, timeout))

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order.

        The rows are read when the frame is collected. Raises StoreUnavailable
        where the file or table does not exist or cannot be read, and
        SchemaError, which names the column, where it does not have events.
        """
        try:
            rows = self._scan(self.url, self._options)
            schema = rows.collect_schema()
        except (OSError, DeltaError, pl.exceptions.PolarsError) as error:
            absent = isinstance(error, FileNotFoundError) or "expanded paths were empty" in str(error)
            reason = f"there is no file {self.url}" if absent else f"{self.url} cannot be read: {first_line(error)}"
            raise StoreUnavailable(reason) from error
        if schema.get("event_time") == pl.String:
            rows = rows.with_columns(pl.col("event_time").str.to_datetime(time_unit="us", time_zone="UTC"))
        events = decode_text(conform(rows).select(*EVENT_SCHEMA))
        # null in what an older release wrote, beside files or days of a newer one
        slugs = nw.from_native(events).with_columns(slug=slug(nw.col("pipeline"))).to_native()
        completed = slugs.with_columns(
            pl.col("error_kind").fill_null(NO_ERRORS), pl.col("pipeline_slug").fill_null(pl.col("slug"))
        )
        return completed.drop("slug").filter(pl.col("event_time").is_between(since, until))

    def exclusions(self) -> list[Exclusion]:
        """Nothing: only a database knows what is left out of scores."""
        return []

    def close(self) -> None:
        """Does nothing: no file stays open."""
