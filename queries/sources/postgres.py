"""Events read from PostgreSQL.

The typed columns are cut out of the JSON by the database and come over as
Arrow. Only statements without bound parameters take the driver's fast COPY
path, so the bounds of a window, which are datetimes here, go in as literals;
text from outside is always bound.
"""

from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa

from queries.db.arrow_pool import ArrowPool
from queries.db.direct_connection import DirectConnection
from queries.schema import ADDRESS_PATTERN, MAX_NUMBER_DIGITS, conform
from queries.sources.database_state import DatabaseState, StateReader
from queries.sources.watermark import WriterSnapshot, read_writer_snapshot, writers_began


def _number(field: str) -> str:
    # whatever else an old row may hold there counts as absent, and must not fail the other rows
    value = f"e.payload->'{field}'"
    is_float = f"jsonb_typeof({value}) = 'number' AND length(e.payload->>'{field}') < {MAX_NUMBER_DIGITS}"
    return f"CASE WHEN {is_float} THEN ({value})::float8 END"


_KEYS = """
    e.id::int8 AS id, e.event_time, lower(e.orchestrator) AS orchestrator,
    upper(r.name)::text AS region, j.name::text AS job_type,
    nullif(e.payload->>'pipeline', '') AS pipeline, nullif(e.payload->>'model', '') AS model"""
_COLUMNS = f"""{_KEYS},
    {_number("success_rate")} AS success_rate, {_number("round_trip_time")} AS round_trip_time,
    {_number("seg_duration")} AS seg_duration"""
_FROM = "events e JOIN regions r ON r.id = e.region_id JOIN job_types j ON j.id = r.job_type_id"


# OFFSET 0 hides event_time from the planner, which would expect as many hours as events, and sort these on disk
_HOURS = """
    SELECT hour AT TIME ZONE 'UTC' AS hour, count(*)::int8 AS events, sum(bytes)::int8 AS bytes
    FROM (SELECT date_trunc('hour', event_time AT TIME ZONE 'UTC') AS hour, pg_column_size(payload) AS bytes
        FROM events e WHERE {condition} OFFSET 0) sizes
    GROUP BY sizes.hour ORDER BY sizes.hour"""
# one look into the index for each day, over whatever lies between them
_DAYS = """
    WITH RECURSIVE days (day) AS (
        SELECT date_trunc('day', min(event_time), 'UTC') FROM events e WHERE {within}
        UNION ALL
        SELECT (SELECT date_trunc('day', min(event_time), 'UTC') FROM events e
            WHERE {within} AND event_time >= day + interval '24 hours')
        FROM days WHERE day IS NOT NULL)
    SELECT day FROM days WHERE day IS NOT NULL ORDER BY day"""
_REGIONS = """
    SELECT upper(r.name)::text AS name, r.display_name::text AS display_name, j.name::text AS job_type
    FROM regions r JOIN job_types j ON j.id = r.job_type_id ORDER BY 3, 1"""
_SEQUENCE_CACHE = """
    SELECT max(seqcache)::int8 AS cache FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence('events', 'id')::regclass"""


class PostgresEvents:
    """Events of a database with the schema of this project's migrations.

    ``url`` is a PostgreSQL URL, ``timeout`` the seconds that one read may
    take, waiting for a connection included, and ``connections`` how many are
    kept open; as many again are opened for a while when those are in use.
    Safe to share between threads. Raises ValueError for a URL that cannot be
    read. Every read raises StoreUnavailable where the database cannot be
    reached and StoreTimeout where it takes too long.
    """

    def __init__(self, url: str, *, timeout: float = 20.0, connections: int = 4) -> None:
        self._reader = ArrowPool(url, timeout=timeout, connections=connections)
        self._direct = DirectConnection(url, timeout, only_reads=True)
        self._state = StateReader(self._reader)

    @property
    def timeout(self) -> float:
        """Seconds that one read may take."""
        return self._reader.timeout

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

        With ``after_id`` and ``max_id``, those of them whose id is above the one
        and at most the other; with ``payload``, the result as JSON beside
        them, as String. An event of something that is no address is nobody's,
        and left out.
        """
        return self._events(f"{_within(since, until)}{_ids(after_id, max_id)}", payload)

    def after(self, settled: int) -> pl.LazyFrame:
        """The events whose id is above ``settled``, as ``window`` gives them."""
        return self._events(f"e.id > {settled:d} AND isfinite(e.event_time)")

    def results(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str, *, after_id: int | None = None
    ) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type, in no order.

        With ``after_id``, only those with a higher id.

        The columns of EVENT_SCHEMA but for the measures, and ``payload``:
        String, the result as JSON.
        """
        statement = f"""
            SELECT {_KEYS}, e.payload::text AS payload FROM {_FROM}
            WHERE lower(e.orchestrator) = $1 AND j.name = $2 AND {_within(since, until)}{_ids(after_id, None)}"""  # noqa: S608
        results = pl.from_arrow(self._reader.read(statement, (orchestrator, job_type)))
        return results.lazy().filter(pl.col("orchestrator").str.contains(ADDRESS_PATTERN))

    def horizon(self) -> WriterSnapshot:
        """How far the events have come by now. For one thread at a time."""
        return read_writer_snapshot(self._direct)

    def writers_began(self) -> datetime | None:
        """When the oldest transaction that writes events began, by the watermark's rule. For one thread at a time."""
        return writers_began(self._direct)

    def days(self, since: datetime, until: datetime) -> list[date]:
        """The days, in UTC, that have events with since ≤ event_time ≤ until (aware datetimes), in order."""
        days = pl.DataFrame(pl.from_arrow(self._reader.read(_DAYS.format(within=_within(since, until)))))
        return days.select(pl.col("day").cast(pl.Datetime("us", "UTC")).dt.date())["day"].to_list()

    def nth_before(self, moment: datetime, n: int) -> datetime | None:
        """The event_time of the n-th event before a moment, counted backwards in time; None where there are fewer."""
        times = self._reader.read(
            f"SELECT event_time FROM events WHERE event_time < {_literal(moment)} AND event_time >= '0001-01-01+00'"  # noqa: S608
            f" ORDER BY event_time DESC OFFSET {n - 1:d} LIMIT 1"
        )["event_time"].to_pylist()
        return times[0] if times else None

    def hours(self, since: datetime, until: datetime, *, after_id: int, max_id: int) -> pl.DataFrame:
        """How many events of a window there are of the ids above the one and at most the other, by the hour.

        Columns, in the order of time: hour (Datetime(us, UTC)), events, and
        bytes of their payloads as they are stored.
        """
        condition = f"{_within(since, until)}{_ids(after_id, max_id)}"
        return pl.DataFrame(pl.from_arrow(self._reader.read(_HOURS.format(condition=condition))))

    def count_above(self, settled: int) -> int:
        """How many events have an id above ``settled``."""
        table = self._reader.read(f"SELECT count(*) AS events FROM events WHERE id > {settled:d}")  # noqa: S608
        return table["events"].to_pylist()[0]

    def state(self) -> DatabaseState:
        """What has been done to the database by now."""
        return self._state.now()

    def pruned(self) -> datetime | None:
        """Before which moment events may have been deleted because a lake has them; None where none have."""
        return self._state.pruned()

    def regions(self) -> pl.DataFrame:
        """The regions that jobs are tested from: name (a code in upper case), display_name and job_type, all String."""
        return pl.DataFrame(pl.from_arrow(self._reader.read(_REGIONS)))

    def hands_out_ids_in_turn(self) -> bool:
        """Whether no session draws ids of events ahead, as ``horizon`` needs."""
        return self._reader.read(_SEQUENCE_CACHE)["cache"].to_pylist() == [1]

    def close(self) -> None:
        """Closes the connections that are idle; the others close as they come back."""
        self._reader.close()
        self._direct.close()

    def _events(self, condition: str, payload: bool = False) -> pl.LazyFrame:
        columns = f"{_COLUMNS}, e.payload::text AS payload" if payload else _COLUMNS
        return _events(self._reader.read(f"SELECT {columns} FROM {_FROM} WHERE {condition}"))  # noqa: S608


def _events(table: pa.Table) -> pl.LazyFrame:
    events = pl.from_arrow(table).lazy()
    return conform(events.filter(pl.col("orchestrator").str.contains(ADDRESS_PATTERN)))


def _within(since: datetime, until: datetime) -> str:
    return f"e.event_time BETWEEN {_literal(since)} AND {_literal(until)}"


def _ids(after_id: int | None, max_id: int | None) -> str:
    lower = "" if after_id is None else f" AND e.id > {after_id:d}"
    return lower if max_id is None else f"{lower} AND e.id <= {max_id:d}"


def _literal(moment: datetime) -> str:
    return f"'{moment.astimezone(UTC).isoformat()}'::timestamptz"
