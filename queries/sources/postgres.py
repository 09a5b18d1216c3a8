"""Events read from PostgreSQL.

The database cuts the fields out of the JSON and sends them as Arrow. What they
say is judged here, in the whole column, which takes far less time.
Only statements without bound parameters use the driver's fast COPY path, so
the bounds of a window, which are datetimes here, are literals in the
statement. Text from outside is always bound.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

import polars as pl

from queries.db.arrow_pool import ArrowPool
from queries.db.direct_connection import DirectConnection
from queries.errors import ReadOnlyDatabase, StoreUnavailable
from queries.schema import ADDRESS_PATTERN, MAX_NUMBER_DIGITS, conform
from queries.scoring.exclusions import Exclusion
from queries.sources import posted_fields
from queries.sources.activity.change_log import ChangePosition, read_changed_days
from queries.sources.activity.forgotten_writers import ForgottenWriter, read_forgotten_writers
from queries.sources.database_state import DatabaseState, StateReader
from queries.sources.watermark import WriterSnapshot, oldest_writer_start, read_writer_snapshot

_ORCHESTRATOR = pl.col("orchestrator")
_AI_KEYS = pl.col("pipeline", "model").replace("", None)
_MEASURES = ("success_rate", "round_trip_time", "seg_duration")

_STATEMENT = """
    WITH places AS {materialized} (
        SELECT r.id, upper(r.name)::text AS region, j.name::text AS job_type
        FROM regions r JOIN job_types j ON j.id = r.job_type_id)
    SELECT e.id::int8 AS id, e.event_time, e.orchestrator::text AS orchestrator, p.region, p.job_type,
        e.payload->>'pipeline' AS pipeline, e.payload->>'model' AS model, {columns}
    FROM events e JOIN places p ON p.id = e.region_id WHERE {condition}"""
# as JSON, which tells a number from a text that looks like one
_COLUMNS = f"""{", ".join(f"e.payload->'{name}' AS {name}" for name in _MEASURES)}, {posted_fields.SQL_COLUMNS}"""


# OFFSET 0 hides event_time from the planner, which would expect as many hours as events and sort on disk
_COUNT_BY_HOUR = """
    SELECT hour AT TIME ZONE 'UTC' AS hour, count(*)::int8 AS events, sum(bytes)::int8 AS bytes
    FROM (SELECT date_trunc('hour', event_time AT TIME ZONE 'UTC') AS hour, pg_column_size(payload) AS bytes
        FROM events e WHERE {condition} OFFSET 0) sizes
    GROUP BY sizes.hour ORDER BY sizes.hour"""
# the bounds of the next events in the order of ids: as many as fit into a number of rows and of bytes, at least one
_NEXT_IDS = """
    SELECT min(id) FILTER (WHERE fits)::int8 AS min_id, max(id) FILTER (WHERE fits)::int8 AS max_id,
        coalesce(bool_and(fits), true) AS is_last
    FROM (SELECT id, number = 1 OR number <= {max_rows:d} AND bytes <= {max_bytes:d} AS fits
        FROM (SELECT id, row_number() OVER ids AS number, sum(pg_column_size(payload)) OVER ids AS bytes
            FROM (SELECT id, payload FROM events WHERE id > {after_id:d} AND id <= {max_id:d}
                ORDER BY id LIMIT {max_rows:d} + 1) next
            WINDOW ids AS (ORDER BY id ROWS UNBOUNDED PRECEDING)) counted) fitted"""
# one index lookup per day with events; it skips the gaps between them
_DAYS = """
    WITH RECURSIVE days (day) AS (
        SELECT date_trunc('day', min(event_time), 'UTC') FROM events e WHERE {window}
        UNION ALL
        SELECT (SELECT date_trunc('day', min(event_time), 'UTC') FROM events e
            WHERE {window} AND event_time >= day + interval '24 hours')
        FROM days WHERE day IS NOT NULL)
    SELECT day FROM days WHERE day IS NOT NULL ORDER BY day"""
_REGIONS = """
    SELECT upper(r.name)::text AS name, r.display_name::text AS display_name, j.name::text AS job_type
    FROM regions r JOIN job_types j ON j.id = r.job_type_id ORDER BY 3, 1"""
_HAS_EXCLUSIONS = "SELECT to_regclass('exclusions') IS NOT NULL AS found"
_EXCLUSIONS = """
    SELECT upper(region)::text AS region, job_type::text AS job_type, since, until, reason
    FROM exclusions WHERE removed_at IS NULL ORDER BY id"""
_SEQUENCE_CACHE = """
    SELECT max(seqcache)::int8 AS cache FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence('events', 'id')::regclass"""

# PostgreSQL's moments reach further than Python's
_BACKLOG = """
    SELECT count(*)::int8 AS events,
        min(event_time) FILTER (WHERE isfinite(event_time) AND event_time >= '0001-01-01+00') AS oldest
    FROM events WHERE id > {after_id:d}"""


DIVISION_BY_ZERO = "22012"
"""PostgreSQL's code, with which a statement ends that must not read this server."""


class Backlog(NamedTuple):
    """The number of some events, and the event_time of the oldest; None where there are none."""

    events: int
    oldest: datetime | None


class NextIds(NamedTuple):
    """The lowest and the highest id of the next events, None where there are none, and whether no others follow."""

    min_id: int | None
    max_id: int | None
    is_last: bool


class PostgresEvents:
    """Events of a database with the schema of this project's migrations.

    ``url`` is a PostgreSQL URL. ``timeout`` is the limit for one read in
    seconds, including the wait for a connection. ``connections`` is the most
    connections for reads; one more is for the snapshots of writers. Threads
    may share a PostgresEvents.

    Raises ValueError for a URL that libpq cannot read. Every read raises
    StoreUnavailable where the database cannot be reached and StoreTimeout
    where it takes too long.
    """

    def __init__(self, url: str, *, timeout: float = 20.0, connections: int = 4) -> None:
        self._pool = ArrowPool(url, timeout=timeout, connections=connections)
        self._direct = DirectConnection(url, timeout, only_reads=True)
        self._state = StateReader(self._pool)
        # the origin of the last writer snapshot, and the SQL expression for it
        self._origin: tuple[str, str] | None = None

    @property
    def timeout(self) -> float:
        """The limit for one read in seconds."""
        return self._pool.timeout

    def window(
        self,
        since: datetime,
        until: datetime,
        *,
        after_id: int | None = None,
        max_id: int | None = None,
        payload: bool = False,
    ) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order.

        ``after_id`` and ``max_id`` limit them to after_id < id ≤ max_id. With
        ``payload``, there is a column of that name: the result as JSON, as
        String. Events whose orchestrator is not an address are left out. The
        rows are read when this is called.
        """
        condition = f"{_in_window(since, until)}{_in_id_range(after_id, max_id)}"
        return self._events(condition, payload=payload, are_many=True)

    def events_after(self, after_id: int, gaps: Sequence[tuple[int, int]] = ()) -> pl.LazyFrame:
        """The events with an id above ``after_id``, of any time, as ``window`` returns them.

        With ``gaps``, also those whose id is in one of these ranges, both ends included.
        """
        ranges = "".join(f" OR e.id BETWEEN {first:d} AND {last:d}" for first, last in gaps)
        return self._events(f"(e.id > {after_id:d}{ranges}) AND isfinite(e.event_time)")

    def results(
        self,
        orchestrator: str,
        since: datetime,
        until: datetime,
        job_type: str | None,
        *,
        with_errors: bool = False,
        after_id: int | None = None,
    ) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type (None is any), in no order.

        The columns are RESULT_COLUMNS, all text as String, and ``warm``. With
        ``with_errors``, only results that list errors. With ``after_id``, only
        results with a higher id.
        """
        window = f"{_in_window(since, until)}{_in_id_range(after_id, None)}"
        columns = "e.payload::text AS payload, e.payload->>'model_is_warm' AS warm"
        condition = f"lower(e.orchestrator) = $1 AND ($2 = '' OR p.job_type = $2) AND {window}"
        if with_errors:
            condition += f" AND {posted_fields.SQL_HAS_ERRORS}"
        rows = self._read_rows(columns, condition, (orchestrator, job_type or ""))
        if re.fullmatch(ADDRESS_PATTERN, orchestrator) is None:
            rows = rows.clear()
        address = pl.lit(orchestrator).alias("orchestrator")
        return rows.with_columns(_AI_KEYS, address, posted_fields.is_warm(pl.col("warm"))).lazy()

    def read_writer_snapshot(self) -> WriterSnapshot:
        """The highest id and the current writers; see Watermark. Only one thread may call this at a time.

        From then on, events are read from the same server only: a standby
        behind the same URL may lack events that are settled. Raises
        ReadOnlyDatabase for a standby.
        """
        origin = self._state.origin()
        try:
            snapshot = read_writer_snapshot(self._direct, origin)
        except ReadOnlyDatabase:
            self._origin = None
            raise
        self._origin = snapshot.origin, origin
        return snapshot

    def oldest_writer_start(self) -> datetime | None:
        """When the oldest transaction that writes events began; see watermark. One thread at a time.

        Raises ReadOnlyDatabase for a standby.
        """
        return oldest_writer_start(self._direct)

    def days(self, since: datetime, until: datetime) -> list[date]:
        """The UTC days that have events with since ≤ event_time ≤ until (aware datetimes), in order."""
        days = pl.DataFrame(self._pool.read(_DAYS.format(window=_in_window(since, until))))
        return days.select(pl.col("day").cast(pl.Datetime("us", "UTC")).dt.date())["day"].to_list()

    def nth_before(self, moment: datetime, n: int) -> datetime | None:
        """The event_time of the n-th event before a moment, counted back in time. None where there are fewer."""
        times = self._pool.read(
            f"SELECT event_time FROM events WHERE event_time < {_literal(moment)} AND event_time >= '0001-01-01+00'"  # noqa: S608
            f" ORDER BY event_time DESC OFFSET {n - 1:d} LIMIT 1"
        )["event_time"].to_pylist()
        return times[0] if times else None

    def count_by_hour(self, since: datetime, until: datetime, *, after_id: int, max_id: int) -> pl.DataFrame:
        """The number of events of a window with after_id < id ≤ max_id, by the hour.

        Columns, in the order of time: hour (Datetime(us, UTC)), events, and
        bytes (the stored size of their payloads).
        """
        condition = f"{_in_window(since, until)}{_in_id_range(after_id, max_id)}"
        return pl.DataFrame(self._pool.read(_COUNT_BY_HOUR.format(condition=condition)))

    def next_ids(self, after_id: int, max_id: int, max_rows: int, max_bytes: int) -> NextIds:
        """The next events with after_id < id ≤ max_id: ``max_rows`` at most, and ``max_bytes`` of stored payloads."""
        statement = _NEXT_IDS.format(after_id=after_id, max_id=max_id, max_rows=max_rows, max_bytes=max_bytes)
        (row,) = self._pool.read(statement).to_pylist()
        return NextIds(**row)

    def backlog(self, after_id: int) -> Backlog:
        """How many events have an id above ``after_id``, and when the service received the oldest of these."""
        (row,) = self._pool.read(_BACKLOG.format(after_id=after_id)).to_pylist()
        return Backlog(**row)

    def state(self) -> DatabaseState:
        """What has happened to the database besides inserted events."""
        return self._state.read()

    def changed_days(self, position: ChangePosition | None) -> tuple[set[int], ChangePosition]:
        """The days that were changed after a position in the log of changes; see read_changed_days."""
        return read_changed_days(self._pool, position)

    def forgotten_writers(self) -> list[ForgottenWriter]:
        """The transactions that wrote events and have been open for too long, oldest first."""
        return read_forgotten_writers(self._pool)

    def pruned(self) -> datetime | None:
        """The moment before which events may have been deleted because a lake has them, or None."""
        return self._state.read_pruned()

    def replayed_until(self) -> datetime | None:
        """On a standby, a moment: it has every event whose commit was confirmed by then. None on a primary."""
        return self._state.read_replayed_until()

    def regions(self) -> pl.DataFrame:
        """The registered regions: name (an upper-case code), display_name and job_type, all String."""
        return pl.DataFrame(self._pool.read(_REGIONS))

    def exclusions(self) -> list[Exclusion]:
        """What is left out of scores, in the order in which it was added. None in a schema of before that."""
        (row,) = self._pool.read(_HAS_EXCLUSIONS).to_pylist()
        return [Exclusion(**found) for found in self._pool.read(_EXCLUSIONS).to_pylist()] if row["found"] else []

    def ids_are_sequential(self) -> bool:
        """Whether sessions draw one id at a time, which the watermark needs."""
        cache: list[int] = self._pool.read(_SEQUENCE_CACHE)["cache"].to_pylist()
        return cache == [1]

    def open(self) -> None:
        """Opens the connection for the snapshots of writers before reads take its slot. Raises StoreUnavailable."""
        self._direct.open()

    def close(self) -> None:
        """Closes the idle connections. The others close when they come back."""
        self._pool.close()
        self._direct.close()

    def _events(self, condition: str, *, payload: bool = False, are_many: bool = False) -> pl.LazyFrame:
        columns = f"{_COLUMNS}, e.payload::text AS payload" if payload else _COLUMNS
        fields = posted_fields.derive_fields(*(pl.col(name) for name in ("outcome", "errors", "warm", "inputs")))
        rows = self._read_rows(columns, condition, are_many=are_many).lazy()
        addresses = posted_fields.once_per_text(_ORCHESTRATOR, _address)
        events = rows.with_columns(_AI_KEYS, addresses, *map(_number, _MEASURES), *fields)
        return conform(events.filter(_ORCHESTRATOR.is_not_null()).drop("errors", "inputs"))

    def _read_rows(
        self, columns: str, condition: str, parameters: tuple[str, ...] | None = None, *, are_many: bool = False
    ) -> pl.DataFrame:
        """The events that match as they are stored, with the ``columns`` after those that all have."""
        # of many events, each region's name is made once; of few, the planner must see what the regions are
        materialized = "MATERIALIZED" if are_many else "NOT MATERIALIZED"
        statement = _STATEMENT.format(materialized=materialized, columns=columns, condition=condition)
        return self._read_checked(statement, parameters)

    def _read_checked(self, statement: str, parameters: tuple[str, ...] | None) -> pl.DataFrame:
        """The rows of a statement from the server of the last writer snapshot. Raises StoreUnavailable for another."""
        if (origin := self._origin) is not None:
            found, expression = origin
            # evaluated once, before any row is read
            statement = f"{statement} AND (SELECT 1 / ({expression} = '{found}')::int) = 1"
        try:
            return pl.DataFrame(self._pool.read(statement, parameters))
        except Exception as error:
            if getattr(error, "sqlstate", None) == DIVISION_BY_ZERO:
                raise StoreUnavailable("another server took over while events were read; try again") from error
            raise


def _number(name: str) -> pl.Expr:
    # an old row may hold anything else there; it counts as absent and must not fail the other rows
    value = pl.col(name).ext.storage()
    is_float = value.str.len_bytes() < MAX_NUMBER_DIGITS
    return pl.when(is_float).then(value.cast(pl.Float64, strict=False)).alias(name)


def _address(orchestrator: pl.Expr) -> pl.Expr:
    address = orchestrator.str.to_lowercase()
    return pl.when(address.str.contains(ADDRESS_PATTERN)).then(address)


def _in_window(since: datetime, until: datetime) -> str:
    return f"e.event_time BETWEEN {_literal(since)} AND {_literal(until)}"


def _in_id_range(after_id: int | None, max_id: int | None) -> str:
    lower = "" if after_id is None else f" AND e.id > {after_id:d}"
    return lower if max_id is None else f"{lower} AND e.id <= {max_id:d}"


def _literal(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC).isoformat()}'::timestamptz"
