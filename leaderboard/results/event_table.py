"""How rows get into the table of events, each under the region that its name leads to in the same transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from typing import IO, Any, NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.regions.region_table import RegionKey, select_ids
from queries.errors import quote


class Row(NamedTuple):
    """A result as it is stored. ``region`` is the name in the table of regions, which leads to the id there."""

    event_time: datetime
    orchestrator: str
    region: str
    job_type: str
    payload: str


class RegionNotFound(Exception):
    """A region that memory knows is not in the database any more, or retired."""

    def __init__(self, region: str, job_type: str) -> None:
        super().__init__(f"region {quote(region)} is not registered for {job_type} results any more")
        self.region = region
        self.job_type = job_type


INSERT = """
    WITH posted AS (
        SELECT result.*, (
            SELECT max(regions.id) FROM regions JOIN job_types ON job_types.id = job_type_id
            WHERE regions.name = result.region AND job_types.name = result.job_type AND retired_at IS NULL
        ) AS region_id
        FROM unnest(%(event_time)s::timestamptz[], %(orchestrator)s::text[], %(region)s::text[], %(job_type)s::text[],
            %(payload)s::jsonb[]) WITH ORDINALITY
            AS result (event_time, orchestrator, region, job_type, payload, number)
    ), stored AS (
        INSERT INTO events (event_time, orchestrator, region_id, payload)
        SELECT event_time, orchestrator, region_id, payload FROM posted WHERE region_id IS NOT NULL ORDER BY number
    )
    SELECT number FROM posted WHERE region_id IS NULL"""
"""Stores results, and returns the numbers, from 1, of those whose region is not registered, or retired."""


def copy_rows(cursor: Cursor, rows: list[Row]) -> None:
    """Stores all of these rows. Raises RegionNotFound."""
    with find_region_ids(cursor, list({(row.region, row.job_type): None for row in rows})) as ids:
        lines = StringIO("".join(_copy_line(row, ids[row.region, row.job_type]) for row in rows))
        copy_lines(cursor, lines, "text")


@contextmanager
def find_region_ids(cursor: Cursor, keys: list[RegionKey]) -> Iterator[dict[RegionKey, int]]:
    """The ids of regions, for rows that are stored in the ``with`` statement. Raises RegionNotFound.

    The ids are compared again at its end. From then on PostgreSQL's own check
    of the rows keeps the regions as they are, until the transaction ends.
    """
    ids = select_ids(cursor, keys)
    for key in keys:
        if key not in ids:
            raise RegionNotFound(*key)
    yield ids
    if (now := select_ids(cursor, keys)) != ids:
        raise RegionNotFound(*next(key for key in keys if now.get(key) != ids[key]))


def copy_lines(cursor: Cursor, lines: IO[Any], copy_format: str) -> None:
    """Stores rows (event_time, orchestrator, region_id, payload) in PostgreSQL's ``text`` or ``csv`` format."""
    cursor.copy_expert(
        f"COPY events (event_time, orchestrator, region_id, payload) FROM STDIN (FORMAT {copy_format})", lines
    )


def _copy_line(row: Row, region_id: int) -> str:
    payload = row.payload.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f"{row.event_time.isoformat()}\t{row.orchestrator}\t{region_id}\t{payload}\n"
