"""Writes results to the database: one that was posted, a batch, or a frame of them."""

import json
import logging
import re
from datetime import UTC, datetime
from io import BytesIO, StringIO
from typing import IO, Any, NamedTuple

import polars as pl
import psycopg2
from psycopg2.errors import (
    CharacterNotInRepertoire,
    ForeignKeyViolation,
    InvalidTextRepresentation,
    NumericValueOutOfRange,
    ProgramLimitExceeded,
    StatementTooComplex,
    UntranslatableCharacter,
)
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.logging_config import TRACE
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import validation
from leaderboard.results.batches import parse_each
from leaderboard.results.group_commit import GroupCommit
from leaderboard.results.validation import InvalidResult
from queries.concurrency import CLIENT_MARGIN_SECONDS
from queries.db import DirectConnection
from queries.errors import quote
from queries.times import RFC_3339_FORMAT

log = logging.getLogger(__name__)

VALUE_ERRORS = (
    CharacterNotInRepertoire,
    InvalidTextRepresentation,
    NumericValueOutOfRange,
    ProgramLimitExceeded,
    StatementTooComplex,
    UntranslatableCharacter,
)
"""Errors with which PostgreSQL refuses a value. The result is at fault, not the database."""


class Row(NamedTuple):
    """A result as the table ``events`` has it."""

    event_time: datetime
    orchestrator: str
    region_id: int
    payload: str


class ResultWriter:
    """Writes what testers post.

    Single results of several requests share a transaction on a connection of
    their own. A batch is one transaction on a connection of ``database``.
    """

    def __init__(self, database: Database, regions: RegionRegistry, connection: DirectConnection) -> None:
        self._database = database
        self._regions = regions
        self._connection = connection
        self._group_commit = GroupCommit(self._insert, connection.timeout + CLIENT_MARGIN_SECONDS)

    def store(self, body: bytes) -> None:
        """Stores one result. It is committed when this returns.

        It is stored as it was posted, with unknown fields, except for the
        orchestrator in lower case and the region in upper case. Raises
        InvalidResult, StoreUnavailable and StoreTimeout.
        """
        row = self._parse(body, datetime.now(UTC))
        log.log(TRACE, "storing %r", row.payload)
        try:
            self._group_commit.add(row)
        except psycopg2.Error as error:
            raise self._to_invalid_result(error, "the body", "its region") from error

    def store_batch(self, bodies: list[bytes]) -> None:
        """Stores all of these results or none. They are committed when this returns. Raises what ``store`` raises."""
        received = datetime.now(UTC)
        rows = parse_each(lambda body: self._parse(body, received), bodies)
        log.log(TRACE, "storing a batch of %s results", len(rows))
        lines = StringIO("".join(map(_copy_line, rows)))
        try:
            self._database.run(lambda cursor: _copy(cursor, lines, "text"))
        except psycopg2.Error as error:
            line = re.search(r"line (\d+)", error.diag.context or "")
            subject = f"results[{int(line[1]) - 1}]" if line else "the batch"
            raise self._to_invalid_result(error, subject, "a region of the batch") from error

    def _parse(self, body: bytes, received: datetime) -> Row:
        result = validation.parse(body)
        orchestrator, region = result.orchestrator.lower(), result.region.upper()
        region_id = _region_id(self._regions, result.region, result.job_type)
        # JSONB keeps the last of two fields with one name
        without_end = body.decode().rstrip().removesuffix("}")
        payload = f'{without_end},"orchestrator":"{orchestrator}","region":{json.dumps(region)}}}'
        return Row(received, orchestrator, region_id, payload)

    def _insert(self, rows: list[Row]) -> None:
        columns = dict(zip(Row._fields, map(list, zip(*rows, strict=True)), strict=True))
        self._connection.run(_INSERT, columns)

    def _to_invalid_result(self, error: psycopg2.Error, subject: str, region: str) -> Exception:
        """The InvalidResult where the result is at fault, else the error itself."""
        if isinstance(error, VALUE_ERRORS):
            return InvalidResult(f"{subject} holds what PostgreSQL cannot store: {error.diag.message_primary}")
        if isinstance(error, ForeignKeyViolation):
            # somebody deleted the region after its id was read
            self._regions.forget_ids()
            return InvalidResult(f"{region} is not registered any more")
        return error


_INSERT = """
    INSERT INTO events (event_time, orchestrator, region_id, payload)
    SELECT * FROM unnest(%(event_time)s::timestamptz[], %(orchestrator)s::text[], %(region_id)s::int[],
        %(payload)s::jsonb[])"""


def copy(database: Database, regions: RegionRegistry, frame: pl.DataFrame) -> None:
    """Stores a frame with the columns event_time, orchestrator, region, job_type and payload (JSON as String).

    All rows are committed when this returns, in one transaction. Raises
    InvalidResult for a region that is not registered, and StoreUnavailable
    and StoreTimeout.
    """
    places = frame.select("region", "job_type").unique()
    ids = [_region_id(regions, region, job_type) for region, job_type in places.iter_rows()]
    region_ids = places.with_columns(region_id=pl.Series(ids, dtype=pl.Int64))
    rows = frame.join(region_ids, on=["region", "job_type"])
    lines = BytesIO()
    rows.select("event_time", "orchestrator", "region_id", "payload").sort("event_time").write_csv(
        lines, include_header=False, datetime_format=RFC_3339_FORMAT
    )
    lines.seek(0)
    database.run(lambda cursor: _copy(cursor, lines, "csv"))


def count(database: Database) -> int:
    """The number of results in the database."""
    return database.run(_count)


def analyze(database: Database) -> None:
    """Updates the statistics that PostgreSQL plans with, as is needed after many results were stored."""
    database.run(lambda cursor: cursor.execute("ANALYZE events, regions, job_types"))


def _count(cursor: Cursor) -> int:
    cursor.execute("SELECT count(*) FROM events")
    ((number,),) = cursor.fetchall()
    return int(number)


def _copy(cursor: Cursor, lines: IO[Any], copy_format: str) -> None:
    cursor.copy_expert(
        f"COPY events (event_time, orchestrator, region_id, payload) FROM STDIN (FORMAT {copy_format})", lines
    )


def _copy_line(row: Row) -> str:
    payload = row.payload.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f"{row.event_time.isoformat()}\t{row.orchestrator}\t{row.region_id}\t{payload}\n"


def _region_id(regions: RegionRegistry, region: str, job_type: str) -> int:
    region_id = regions.id_of(region, job_type)
    if region_id is None:
        raise InvalidResult(f"region {quote(region)} is not registered for {job_type} results")
    return region_id
