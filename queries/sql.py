"""Events as SQL views in DuckDB, in a session that can reach nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

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
from queries.sources.lake_dataset import LAKE_SCHEMA, DatabaseDataset, daily_lake_datasets, lake_datasets
from queries.sources.posted_fields import DUCKDB_COLUMNS
from queries.sources.read_plan import DatabasePart, LakePart
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

    Rows are read when a statement needs them. A condition on event_time, or on
    the bucket of scores_daily, limits which files of the lake are read, and
    which days of the rows that only the database has. Of these, the days of
    the last read stay in memory. Rows of days that had none when this was
    called are not seen. A lake without its database has the regions of its events, without display_name.

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
    events = _union(connection, [events for part in parts for events in _to_arrow(part)], LAKE_SCHEMA.names)
    events.create_view("events")
    connection.execute(EVENT_DETAILS)
    if regions is None:
        connection.execute(REGIONS_OF_EVENTS)
    else:
        connection.from_arrow(regions).create_view("regions")
    daily = [events for part in parts for events in _to_daily_arrow(part)]
    daily_events = _union(connection, daily, [*LAKE_SCHEMA.names, "bucket"])
    counted = leave_out(daily_events, exclusions)
    scores = [
        score_history(counted, EventFilter(job_type=job), interval=None, formula=formula) for job in (TRANSCODING, AI)
    ]
    scores[0].union(scores[1]).create_view("scores_daily")
    connection.execute(LOCK_DOWN)
    return connection


def _read(source: HybridEvents | LakeEvents | FileEvents) -> tuple[list[LakePart | DatabaseDataset], pa.Table | None]:
    """The events of a source in parts, and its regions if it has a list of them."""
    if isinstance(source, HybridEvents):
        plan, pruned = source.plan()
        parts = [part if isinstance(part, LakePart) else _to_dataset(source, part, pruned) for part in plan]
        return parts, source.regions().to_arrow()
    if isinstance(source, LakeEvents):
        return [LakePart(source.require_snapshot(), MIN_TIME, MAX_TIME)], None
    raise ValueError(f"{source.url} is an export, which DuckDB reads itself; these views need a database or a lake")


def _to_dataset(source: HybridEvents, part: DatabasePart, pruned: datetime | None) -> DatabaseDataset:
    def read(since: datetime, until: datetime, payload: bool) -> pl.DataFrame:
        requested = replace(part, since=max(part.since, since), until=min(part.until, until))
        return source.read_part(requested, pruned, payload=payload)

    return DatabaseDataset.of(source.days_of(part), read)


def _to_arrow(part: LakePart | DatabaseDataset) -> Sequence[Dataset]:
    return lake_datasets(part.snapshot, part.since, part.until) if isinstance(part, LakePart) else [part]


def _to_daily_arrow(part: LakePart | DatabaseDataset) -> Sequence[Dataset]:
    """The events with a column ``bucket``, the start of their day."""
    return daily_lake_datasets(part.snapshot, part.since, part.until) if isinstance(part, LakePart) else [part]


def _union(connection: DuckDBPyConnection, parts: list[Dataset], columns: Sequence[str]) -> DuckDBPyRelation:
    events, *others = (_with_every_column(connection.from_arrow(part)).select(*columns) for part in parts)
    for other in others:
        events = events.union(other)
    return events.select("* REPLACE (payload::JSON AS payload)")


def _with_every_column(events: DuckDBPyRelation) -> DuckDBPyRelation:
    """The columns of LAKE_SCHEMA, which events of an older release lack, beside those that they have."""
    if set(OPTIONAL_COLUMNS).issubset(events.columns):
        return events
    return events.select(f"*, {DUCKDB_COLUMNS}")
