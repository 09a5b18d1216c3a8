"""The settled past: a Delta table of events, in a folder or an object store.

A commit of the table brings events together with how far they reach, as
versions of application transactions, so a reader sees both or neither. Its
columns are those of EVENT_SCHEMA, ``payload`` (the result as JSON) and
``month``, by which its files are laid in folders; each file is sorted by time.
"""

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from threading import Lock
from typing import Any
from urllib.parse import unquote

import narwhals.stable.v2 as nw
import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from queries.concurrency.timeouts import call_with_timeout
from queries.errors import StoreUnavailable
from queries.schema import EVENT_SCHEMA
from queries.times import from_micros

WATERMARK_KEY, AS_OF_KEY, DATABASE_KEY, CHANGES_KEY = (
    f"leaderboard.{name}" for name in ("watermark", "as_of", "database", "changes")
)
"""The application transactions: see Snapshot, where as_of is microseconds since 1970."""
RESULT_COLUMNS = ("id", "event_time", "orchestrator", "region", "job_type", "pipeline", "model", "payload")
"""The columns of a result as it was posted."""


@dataclass(frozen=True, eq=False)
class LakeSnapshot:
    """One version of the table.

    It holds every event with an id up to ``watermark`` that there was in
    ``database`` (see ``hash64``) when ``changes`` were all that had been
    changed, among them every event that was committed before ``as_of``.
    ``files`` has a row for each file, in the order of time: uri, events,
    bytes, since and until (between which the event_time of each is).
    """

    version: int
    watermark: int
    as_of: datetime
    database: int
    changes: int
    files: pl.DataFrame
    options: dict[str, str] | None

    def window(
        self, since: datetime, until: datetime, *, max_id: int | None = None, payload: bool = False
    ) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as PostgresEvents.window gives them."""
        columns = [*EVENT_SCHEMA, "payload"] if payload else list(EVENT_SCHEMA)
        events = self._scan(since, until).select(columns)
        return events if max_id is None or max_id >= self.watermark else events.filter(pl.col("id") <= max_id)

    def results(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type, as PostgresEvents.results gives them."""
        of = (pl.col("orchestrator") == orchestrator) & (pl.col("job_type") == job_type)
        return self._scan(since, until).filter(of).select(RESULT_COLUMNS)

    def days(self) -> list[date]:
        """Every day that it has events of, in UTC, and maybe others between them, in order."""
        days = self.files.select(day=pl.date_ranges(pl.col("since").dt.date(), pl.col("until").dt.date()))
        return days.explode("day")["day"].unique().sort().to_list()

    def nth_before(self, moment: datetime, n: int) -> datetime | None:
        """Where files begin that have about the n-th event before a moment, counted backwards in time.

        None where there are fewer.
        """
        before = self.files.filter(pl.col("since") < moment).sort("until", descending=True)
        enough = before.filter(pl.col("events").cum_sum() >= n)
        return None if enough.is_empty() else before.head(before.height - enough.height + 1)["since"].min()

    def _scan(self, since: datetime, until: datetime) -> pl.LazyFrame:
        files = self.files.filter((pl.col("since") <= until) & (pl.col("until") >= since))
        if files.is_empty():
            return _NONE
        return scan_lake_files(files["uri"].to_list(), self.options).filter(
            pl.col("event_time").is_between(since, until)
        )


class LakeEvents:
    """Events of the lake at ``url``: a folder, s3://bucket/folder, gs://… or az://….

    Credentials come from the variables that each store's own tools read.
    ``timeout`` is seconds for one look at the table. Safe to share between
    threads. Every read raises StoreUnavailable where the lake cannot be read,
    and StoreTimeout where that takes too long.
    """

    def __init__(self, url: str, *, timeout: float = 20.0) -> None:
        self.url = url
        self.timeout = timeout
        self.options = store_options(url, timeout)
        self._lock = Lock()
        self._table: DeltaTable | None = None
        self._snapshot: LakeSnapshot | None = None

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order."""
        return self.require_snapshot().window(since, until)

    def results(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> pl.LazyFrame:
        """As PostgresEvents.results."""
        return self.require_snapshot().results(orchestrator, since, until, job_type)

    def snapshot(self) -> LakeSnapshot | None:
        """The newest version, None where there is no lake yet."""
        return call_with_timeout(self.timeout, self._look)

    def require_snapshot(self) -> LakeSnapshot:
        """As ``snapshot``, of a lake that there is."""
        if (snapshot := self.snapshot()) is None:
            raise StoreUnavailable(f"there is no lake in {self.url}; leaderboard lake sync makes one")
        return snapshot

    def is_other_table(self) -> bool:
        """Whether there is a Delta table with rows that is no lake."""
        return self.snapshot() is None and self._table is not None and self._table.get_add_actions().num_rows > 0

    def close(self) -> None:
        """Forgets the table."""
        self._table = self._snapshot = None

    def _look(self) -> LakeSnapshot | None:
        with self._lock:
            try:
                table = self._table
                if table is None:
                    table = DeltaTable(self.url, storage_options=self.options)
                else:
                    table.update_incremental()
                if self._snapshot is None or self._snapshot.version != table.version():
                    self._snapshot = read_lake_snapshot(table, self.options)
                self._table = table
            except TableNotFoundError:
                self.close()
            except (DeltaError, OSError, KeyError) as error:
                self.close()
                raise StoreUnavailable(f"the lake in {self.url} cannot be read") from error
            return self._snapshot


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a frame that may read from a lake.

    Raises StoreUnavailable where a file of the lake cannot be read.
    """
    try:
        return frame.collect(engine="streaming")
    except (OSError, pl.exceptions.ComputeError) as error:
        raise StoreUnavailable("a file of the lake cannot be read") from error


def scan_lake_files(files: list[str], options: dict[str, str] | None) -> pl.LazyFrame:
    """The rows of files of a lake, with ``options`` as store_options gives them."""
    return pl.scan_parquet(files, hive_partitioning=False, storage_options=for_polars(options))


def read_lake_snapshot(table: DeltaTable, options: dict[str, str] | None) -> LakeSnapshot | None:
    """What a table holds at the version it was opened at; None before the first events were brought."""
    reached = {name: table.transaction_version(name) for name in (WATERMARK_KEY, AS_OF_KEY, DATABASE_KEY, CHANGES_KEY)}
    if reached[WATERMARK_KEY] is None:
        return None
    root = table_root(table)
    added = pl.DataFrame(table.get_add_actions(flatten=True))
    files = added.select(
        uri=pl.lit(f"{root}/") + pl.col("path"),
        events="num_records",
        bytes="size_bytes",
        since="min.event_time",
        # deltalake cuts off what is below a millisecond when it makes one file of several
        until=pl.col("max.event_time").dt.truncate("1ms") + pl.duration(microseconds=999),
    )
    return LakeSnapshot(
        version=table.version(),
        watermark=reached[WATERMARK_KEY],
        as_of=from_micros(reached[AS_OF_KEY]),
        database=reached[DATABASE_KEY],
        changes=reached[CHANGES_KEY],
        files=files.sort("since", "uri"),
        options=options,
    )


def table_root(table: DeltaTable) -> str:
    """What the paths of a table's files follow: a folder, or the URL of one in an object store."""
    uri = table.table_uri.rstrip("/")
    return unquote(uri.removeprefix("file://")) if is_local_path(uri) else uri


def hash64(text: str) -> int:
    """A text as the version of an application transaction: equal numbers for equal texts alone, nearly for sure."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1


STORE_SCHEMES = ("file", "s3", "s3a", "gs", "az", "abfs", "abfss")
"""How the URL of a lake begins that is not the path of a folder."""


def is_local_path(url: str) -> bool:
    """Whether it is a folder of this machine, and not in an object store."""
    return "://" not in url or url.startswith("file://")


def store_options(url: str, timeout: float) -> dict[str, str] | None:
    """How an object store is to be asked; None for a folder."""
    if is_local_path(url):
        return None
    # what an object store is waited for by itself is minutes
    return {"timeout": f"{timeout:g}s", "connect_timeout": "5s", "max_retries": "3", "retry_timeout": f"{timeout:g}s"}


def for_polars(options: dict[str, str] | None) -> dict[str, Any] | None:
    """What store_options gives, as Polars takes it: one as a number that deltalake wants as text."""
    return None if options is None else options | {"max_retries": int(options["max_retries"])}


_COLUMNS = EVENT_SCHEMA | {"payload": nw.String()}
_NONE = nw.from_dict({name: [] for name in _COLUMNS}, schema=_COLUMNS, backend="polars").to_native().lazy()
