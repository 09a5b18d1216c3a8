"""Events for people who think in SQL: a DuckDB that sees them, and nothing else of this machine or any other."""

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection, DuckDBPyRelation
from pyarrow.dataset import Dataset

from queries.filters import AI, TRANSCODING, EventFilter
from queries.score_history import score_history
from queries.sources.files import FileEvents
from queries.sources.hybrid import HybridEvents
from queries.sources.lake_dataset import LAKE_SCHEMA, lake_dataset
from queries.sources.urls import open_events
from queries.times import MAX_TIME, MIN_TIME

CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    # no folder to put away in what does not fit into memory: it would be one to write to
    "temp_directory": "",
}
UTC = "SET TimeZone = 'UTC'"
CLOSED = """
    SET disabled_filesystems = 'LocalFileSystem';
    SET enable_external_access = false;
    SET lock_configuration = true"""

EVENT_DETAILS = """
    CREATE VIEW event_details AS
    SELECT
        region AS region_name, job_type AS job_type_name, id, event_time,
        try_cast(payload->>'success_rate' AS DOUBLE) AS success_rate,
        try_cast(payload->>'seg_duration' AS DOUBLE) AS seg_duration,
        try_cast(payload->>'round_trip_time' AS DOUBLE) AS round_trip_time,
        orchestrator, payload
    FROM events"""
REGIONS_SEEN = """
    CREATE VIEW regions AS
    SELECT DISTINCT region AS name, NULL::VARCHAR AS display_name, job_type FROM events"""


def connect(url: str, *, lake: str | None = None, timeout: float = 20.0) -> DuckDBPyConnection:
    """A DuckDB in memory, whose session is in UTC, with the events behind a URL (see open_events) as views.

    ``events`` has the columns of EVENT_SCHEMA and ``payload`` (the result, as
    JSON), ``event_details`` those of the view of that name in PostgreSQL,
    ``regions`` name, display_name and job_type, and ``scores_daily`` what
    score_history tells of each day, for both job types.

    It sees what there is by now. What the lake has is read when it is asked
    for: of a condition on event_time, the files alone that have events of that
    time. What only the database has is read now, and held. The regions of a
    lake without its database are those that it has events of, and have no
    display_name.

    Statements reach no file, no network, no extension and no setting. Raises
    ValueError for a URL that cannot be read, StoreUnavailable and StoreTimeout.
    """
    source = open_events(url, lake=lake, timeout=timeout)
    try:
        if isinstance(source, HybridEvents):
            parts = source.parts(lake_dataset, lambda frame: frame.collect().to_arrow())
            regions = source.regions().to_arrow()
        elif isinstance(source, FileEvents):
            raise ValueError(f"{url} is an export, which DuckDB reads itself; these views are of a database or a lake")
        else:
            parts, regions = [lake_dataset(source.require_snapshot(), MIN_TIME, MAX_TIME)], None
    finally:
        source.close()
    connection = duckdb.connect(config=CONFIG)
    connection.execute(UTC)
    _events(connection, parts).create_view("events")
    connection.execute(EVENT_DETAILS)
    if regions is None:
        connection.execute(REGIONS_SEEN)
    else:
        connection.from_arrow(regions).create_view("regions")
    histories = [score_history(connection.table("events"), EventFilter(job_type=job)) for job in (TRANSCODING, AI)]
    histories[0].union(histories[1]).create_view("scores_daily")
    connection.execute(CLOSED)
    return connection


def _events(connection: DuckDBPyConnection, parts: list[Dataset | pa.Table]) -> DuckDBPyRelation:
    events, *others = (connection.from_arrow(part) for part in parts or [LAKE_SCHEMA.empty_table()])
    for other in others:
        events = events.union(other)
    return events.select("* REPLACE (payload::JSON AS payload)")
