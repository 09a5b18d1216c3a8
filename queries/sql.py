"""Events as SQL views in DuckDB, in a session that can reach nothing else."""

from collections.abc import Sequence

import duckdb
import polars as pl
import pyarrow as pa
from duckdb import DuckDBPyConnection, DuckDBPyRelation
from pyarrow.dataset import Dataset

from queries.filters import AI, TRANSCODING, EventFilter
from queries.schema import OPTIONAL_COLUMNS
from queries.score_history import score_history
from queries.scoring.exclusions import leave_out
from queries.scoring.formula import FORMULA_2, Formula
from queries.sources.files import FileEvents
from queries.sources.hybrid import HybridEvents
from queries.sources.lake import LakeEvents
from queries.sources.lake_dataset import LAKE_SCHEMA, daily_lake_datasets, lake_datasets
from queries.sources.posted_fields import DUCKDB_COLUMNS
from queries.sources.read_plan import LakePart
from queries.sources.urls import open_events
from queries.times import MAX_TIME, MIN_TIME

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    # no folder to spill into: statements could write to it
    "temp_directory": "",
}
SET_UTC = "SET TimeZone = 'UTC'"
LOCK_DOWN = """
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
REGIONS_OF_EVENTS = """
    CREATE VIEW regions AS
    SELECT DISTINCT region AS name, NULL::VARCHAR AS display_name, job_type FROM events"""


def connect(
    url: str | None = None, *, lake: str | None = None, timeout: float = 20.0, formula: Formula = FORMULA_2
) -> DuckDBPyConnection:
    """A DuckDB in memory with the events at a URL as views. Its session is in UTC.

    ``url``, ``lake`` and ``timeout`` are those of open_events; without a URL,
    it opens the source that an installed application names. The views:

    - ``events``: the columns of EVENT_SCHEMA and ``payload`` (the result, as JSON)
    - ``event_details``: the columns of the view of that name in PostgreSQL
    - ``regions``: name, display_name and job_type
    - ``scores_daily``: score_history of each day, for both job types, by the
      ``formula``, without excluded events where the formula says so

    The views show the events as they are now. Rows that only the database has
    are read now and stay in memory. Rows of the lake are read when a statement
    needs them; a condition on event_time, or on the bucket of scores_daily,
    limits which files are read. A lake without its database has the regions of its events, without display_name.

    Statements can reach no file, no network, no extension and no setting.
    Raises ValueError for a URL that is not valid, StoreUnavailable and
    StoreTimeout.
    """
    source = open_events(url, lake=lake, timeout=timeout)
    try:
        parts, regions = _read(source)
        exclusions = source.exclusions() if formula.applies_exclusions else []
    finally:
        source.close()
    connection = duckdb.connect(config=CONFIG)
    connection.execute(SET_UTC)
    _union(connection, [events for part in parts for events in _to_arrow(part)]).create_view("events")
    connection.execute(EVENT_DETAILS)
    if regions is None:
        connection.execute(REGIONS_OF_EVENTS)
    else:
        connection.from_arrow(regions).create_view("regions")
    daily_events = _union(connection, [events for part in parts for events in _to_daily_arrow(part)])
    counted = leave_out(daily_events, exclusions)
    scores = [
        score_history(counted, EventFilter(job_type=job), interval=None, formula=formula) for job in (TRANSCODING, AI)
    ]
    scores[0].union(scores[1]).create_view("scores_daily")
    connection.execute(LOCK_DOWN)
    return connection


def _read(source: HybridEvents | LakeEvents | FileEvents) -> tuple[list[LakePart | pl.DataFrame], pa.Table | None]:
    """The events of a source in parts, and its regions if it has a list of them."""
    if isinstance(source, HybridEvents):
        parts = [part if isinstance(part, LakePart) else part.collect() for part in source.parts()]
        return parts, source.regions().to_arrow()
    if isinstance(source, LakeEvents):
        return [LakePart(source.require_snapshot(), MIN_TIME, MAX_TIME)], None
    raise ValueError(f"{source.url} is an export, which DuckDB reads itself; these views need a database or a lake")


def _to_arrow(part: LakePart | pl.DataFrame) -> Sequence[Dataset | pa.Table]:
    if isinstance(part, LakePart):
        return lake_datasets(part.snapshot, part.since, part.until)
    return [part.to_arrow()]


def _to_daily_arrow(part: LakePart | pl.DataFrame) -> Sequence[Dataset | pa.Table]:
    """The events with a column ``bucket``, the start of their day."""
    if isinstance(part, LakePart):
        return daily_lake_datasets(part.snapshot, part.since, part.until)
    return [part.with_columns(bucket=pl.col("event_time").dt.truncate("1d")).to_arrow()]


def _union(connection: DuckDBPyConnection, parts: list[Dataset | pa.Table]) -> DuckDBPyRelation:
    events, *others = (_with_every_column(connection.from_arrow(part)) for part in parts)
    for other in others:
        events = events.union(other)
    return events.select("* REPLACE (payload::JSON AS payload)")


def _with_every_column(events: DuckDBPyRelation) -> DuckDBPyRelation:
    """The columns of LAKE_SCHEMA, which events of an older release lack."""
    if set(OPTIONAL_COLUMNS).issubset(events.columns):
        return events
    added = [name for name in events.columns if name not in LAKE_SCHEMA.names]
    return events.select(f"*, {DUCKDB_COLUMNS}").select(*LAKE_SCHEMA.names, *added)
