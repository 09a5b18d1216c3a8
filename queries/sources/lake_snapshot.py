"""One version of a lake: which events it holds and which files they are in.

A commit of the table stores events together with how far they reach, as
versions of application transactions, so a reader sees both or neither. The
columns are those of EVENT_SCHEMA, ``payload`` (the result as JSON) and
``month``, which names the folder of a file. In most files the results of one
orchestrator lie together, in the order of time; nothing may rely on it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from urllib.parse import unquote

import narwhals.stable.v2 as nw
import polars as pl
from deltalake import DeltaTable

from queries.errors import StoreUnavailable
from queries.schema import EVENT_SCHEMA, NO_ERRORS
from queries.sources.database_state import DatabaseState
from queries.sources.object_stores import is_local_path
from queries.sources.parquet_files import row_groups, scan_lake_files
from queries.sources.posted_fields import with_posted_fields
from queries.times import MIN_TIME, from_micros

WATERMARK_KEY, AS_OF_KEY, DATABASE_KEY, CHANGES_KEY, TARGET_KEY, COMPLETE_SINCE_KEY, PRUNED_ID_KEY = (
    f"leaderboard.{name}"
    for name in ("watermark", "as_of", "database", "changes", "target", "complete_since", "pruned_id")
)
"""The application transactions of a commit; see LakeSnapshot. Moments are in microseconds since 1970."""
RESULT_COLUMNS = ("id", "event_time", "orchestrator", "region", "job_type", "pipeline", "model", "payload")
"""The columns of a result as it was posted."""

MAX_SHARE_TO_READ = 0.25
"""From this share of the rows on, a scan for one orchestrator takes longer than the database's index."""

READER_VERSIONS = (1, 3)
"""The versions of Delta's reader protocol that this module reads. Version 3 names the features that it needs."""
READER_FEATURES = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
"""The features of a table that change nothing in how its files are read."""

_COLUMNS = EVENT_SCHEMA | {"payload": nw.String()}
_NO_ROWS: pl.LazyFrame = (
    nw.from_dict({name: [] for name in _COLUMNS}, schema=_COLUMNS, backend="polars").to_native().lazy()
)


@dataclass(frozen=True, eq=False)
class LakeSnapshot:
    """One version of the table.

    It holds every event with an id up to ``watermark`` that ``database`` had
    when its change counters were ``changes`` (both as hash64). That includes
    every event that was committed before ``as_of``. It may lack events from
    before ``complete_since``: they were pruned from the database before this
    lake had them, and another lake has them. That counts what was pruned up to
    the id ``pruned_id``; of what was pruned later see ``complete_since_in``.

    ``table_id`` is the table's name for itself, whatever its URL. ``target``
    is the watermark that the last sync was to reach. If that is above
    ``watermark``, the sync goes on, or was interrupted.

    ``files`` has one row per file, in the order of time: uri, events, bytes,
    since, until and complete. The event_time of each event in a file is
    between since and until. A file that an older release wrote is not
    complete: it may lack OPTIONAL_COLUMNS, or have nulls in all of them.
    """

    version: int
    watermark: int
    as_of: datetime
    database: int
    changes: int
    files: pl.DataFrame
    options: dict[str, str] | None
    complete_since: datetime = MIN_TIME
    pruned_id: int = 0
    target: int = 0
    table_id: str = ""

    @property
    def synced_percent(self) -> int | None:
        """How far the sync is that writes this lake, from 0 to 99. None where it has reached its target."""
        return None if self.watermark >= self.target else max(0, 100 * self.watermark // self.target)

    def complete_since_in(self, state: DatabaseState) -> datetime:
        """From when on the lake has every event up to its watermark, after what was pruned from the database."""
        pruned_id = state.pruned_id or 0
        if state.pruned is None or pruned_id <= max(self.pruned_id, self.watermark):
            return self.complete_since
        # another lake had them
        return max(self.complete_since, state.pruned)

    def require_complete(self, since: datetime) -> None:
        """Raises StoreUnavailable if the lake may lack events from after ``since``."""
        if since < self.complete_since:
            raise StoreUnavailable(
                f"the lake lacks events from before {self.complete_since}, which were pruned before it had them; "
                "set LAKE_URL to the lake that has them"
            )

    @property
    def older_files(self) -> int:
        """The number of files that are not complete."""
        return self.files.height - int(self.files["complete"].sum())

    def window(
        self, since: datetime, until: datetime, *, max_id: int | None = None, payload: bool = False
    ) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as PostgresEvents.window returns them.

        Raises StoreUnavailable if the lake may lack some of them.
        """
        self.require_complete(since)
        columns = [*EVENT_SCHEMA, "payload"] if payload else list(EVENT_SCHEMA)
        events = self._scan(since, until).select(columns)
        return events if max_id is None or max_id >= self.watermark else events.filter(pl.col("id") <= max_id)

    def results(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type, as PostgresEvents.results returns them.

        Raises StoreUnavailable if the lake may lack some of them.
        """
        self.require_complete(since)
        matches = pl.col("orchestrator") == orchestrator
        if job_type is not None:
            matches &= pl.col("job_type") == job_type
        if with_errors:
            matches &= pl.col("error_kind") != NO_ERRORS
        return self._scan(since, until).filter(matches).select(*RESULT_COLUMNS, "warm")

    def skips_others(self, orchestrator: str, since: datetime, until: datetime) -> bool:
        """Whether a reader of one orchestrator's results of a window skips most row groups of its files.

        False for an object store, which would have to be asked for each file. Raises StoreUnavailable.
        """
        if self.options is not None:
            return False
        groups = [group for uri in self._files_of(since, until)["uri"] for group in row_groups(uri)]
        to_read = sum(group.rows for group in groups if group.may_have(orchestrator))
        return to_read <= MAX_SHARE_TO_READ * sum(group.rows for group in groups)

    def rows(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """What the lake has of the events of a window, with ``payload``, even where others were pruned."""
        return self._scan(since, until).select(*EVENT_SCHEMA, "payload")

    def days(self) -> list[date]:
        """The UTC days that the files span, in order. It has every day with events, and may have others between."""
        days = self.files.select(day=pl.date_ranges(pl.col("since").dt.date(), pl.col("until").dt.date()))
        return days.explode("day")["day"].unique().sort().to_list()

    def nth_before(self, moment: datetime, n: int) -> datetime | None:
        """A moment from which about n events precede ``moment``: the start of a file. None where there are fewer."""
        before = self.files.filter(pl.col("since") < moment).sort("until", descending=True)
        enough = before.filter(pl.col("events").cum_sum() >= n)
        if enough.is_empty():
            return None
        starts: list[datetime] = before.head(before.height - enough.height + 1)["since"].to_list()
        return min(starts)

    def _scan(self, since: datetime, until: datetime) -> pl.LazyFrame:
        files = self._files_of(since, until)
        complete, older = files.filter("complete"), files.filter(~pl.col("complete"))
        frames = []
        if not complete.is_empty():
            frames.append(self._scan_files(complete, since, until))
        if not older.is_empty():
            frames.append(with_posted_fields(self._scan_files(older, since, until)))
        return pl.concat([frame.select(*_COLUMNS) for frame in frames]) if frames else _NO_ROWS

    def _files_of(self, since: datetime, until: datetime) -> pl.DataFrame:
        return self.files.filter((pl.col("since") <= until) & (pl.col("until") >= since))

    def _scan_files(self, files: pl.DataFrame, since: datetime, until: datetime) -> pl.LazyFrame:
        rows = scan_lake_files(files["uri"].to_list(), self.options)
        return rows.filter(pl.col("event_time").is_between(since, until))


def read_lake_snapshot(table: DeltaTable, options: dict[str, str] | None) -> LakeSnapshot | None:
    """What an opened table holds at its version, or None before the first sync.

    ``options`` are those of store_options. Raises StoreUnavailable for a
    table that this module would read wrongly.
    """
    _check_protocol(table)
    watermark, as_of, database, changes = map(
        table.transaction_version, (WATERMARK_KEY, AS_OF_KEY, DATABASE_KEY, CHANGES_KEY)
    )
    # older releases have none of these
    target, complete_since, pruned_id = map(table.transaction_version, (TARGET_KEY, COMPLETE_SINCE_KEY, PRUNED_ID_KEY))
    if watermark is None:
        return None
    root = table_root(table)
    added = lake_data_files(table)
    files = added.select(
        uri=pl.lit(f"{root}/") + pl.col("path"),
        events="num_records",
        bytes="size_bytes",
        since="min.event_time",
        # deltalake truncates to milliseconds when it merges files
        until=pl.col("max.event_time").dt.truncate("1ms") + pl.duration(microseconds=999),
        complete="complete",
    )
    return LakeSnapshot(
        version=table.version(),
        watermark=watermark,
        as_of=from_micros(as_of or 0),
        # -1 equals no hash64, so a table without these belongs to no database
        database=-1 if database is None else database,
        changes=-1 if changes is None else changes,
        files=files.sort("since", "uri"),
        options=options,
        complete_since=MIN_TIME if complete_since is None else from_micros(complete_since),
        pruned_id=pruned_id or 0,
        target=target or 0,
        table_id=str(table.metadata().id),
    )


def lake_data_files(table: DeltaTable) -> pl.DataFrame:
    """The add actions of a table's files, flattened, with ``complete`` as LakeSnapshot has it."""
    added = pl.DataFrame(table.get_add_actions(flatten=True))
    # no release that fills in the columns leaves this one null, and those of before do not count it
    nulls = pl.col(nulls_column) if (nulls_column := "null_count.error_kind") in added.columns else pl.lit(None)
    return added.with_columns(complete=nulls.eq_missing(0))


def _check_protocol(table: DeltaTable) -> None:
    # deltalake lists the files of any table; only its own scans would refuse
    protocol = table.protocol()
    unknown = set(protocol.reader_features or ()) - READER_FEATURES
    if protocol.min_reader_version not in READER_VERSIONS or unknown:
        features = f" and the features {', '.join(sorted(unknown))}" if unknown else ""
        raise StoreUnavailable(
            f"the lake in {table_root(table)} needs a reader of Delta version {protocol.min_reader_version}{features}; "
            "update this program"
        )


def table_root(table: DeltaTable) -> str:
    """The folder that the paths of a table's files are relative to, or its URL in an object store."""
    uri = table.table_uri.rstrip("/")
    return unquote(uri.removeprefix("file://")) if is_local_path(uri) else uri


def hash64(text: str) -> int:
    """A hash of a text that fits the version of an application transaction: 0 ≤ hash < 2^63."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 1
