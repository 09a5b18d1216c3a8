"""Takes results into the database: one that was posted, or a frame of them."""

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
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from leaderboard.logging_config import TRACE
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import Regions
from leaderboard.results import auth, validation
from leaderboard.results.batches import within_batch
from leaderboard.results.group_commit import GroupCommit
from leaderboard.results.validation import InvalidResult
from queries.concurrency import CLIENT_MARGIN_SECONDS
from queries.db import DirectConnection
from queries.times import RFC_3339_FORMAT

log = logging.getLogger(__name__)


WHAT_CANNOT_BE_STORED = (
    CharacterNotInRepertoire,
    InvalidTextRepresentation,
    NumericValueOutOfRange,
    ProgramLimitExceeded,
    StatementTooComplex,
    UntranslatableCharacter,
)


class NotAuthenticated(Exception):
    """The request does not carry the signature of its body."""


def authenticate(secret: str | None, body: bytes, signature: str) -> None:
    """Raises NotAuthenticated unless the body was signed with the secret, and always where there is none."""
    if secret is None:
        raise NotAuthenticated("posting is off on this server, which has no SECRET")
    if not auth.is_signed(secret, body, signature):
        raise NotAuthenticated("the Authorization header is not the signature of this body")


class Row(NamedTuple):
    """A result as it is stored."""

    event_time: datetime
    orchestrator: str
    region_id: int
    payload: str


class Ingest:
    """Stores what is posted: a result at a time, many together in one transaction, or a batch as one."""

    def __init__(self, database: Database, regions: Regions, direct: DirectConnection) -> None:
        self._database = database
        self._regions = regions
        self._direct = direct
        self._rows = GroupCommit(self._insert, direct.timeout + CLIENT_MARGIN_SECONDS)

    def store(self, body: bytes) -> None:
        """Stores one result; it is committed once this returns.

        It is stored as posted, unknown fields included, with its orchestrator
        in lower case and its region in upper case. Raises InvalidResult, and
        what ``Database.run`` raises.
        """
        row = self._row(body, datetime.now(UTC))
        log.log(TRACE, "storing %r", row.payload)
        try:
            self._rows.add(row)
        except psycopg2.Error as error:
            raise self._refusal(error, "the body", "its region") from error

    def store_batch(self, bodies: list[bytes]) -> None:
        """Stores all of these results, or none; they are committed once this returns. Raises as ``store`` does."""
        received = datetime.now(UTC)
        rows = [within_batch(number, self._row, body, received) for number, body in enumerate(bodies)]
        log.log(TRACE, "storing a batch of %s results", len(rows))
        lines = StringIO("".join(map(_line, rows)))
        try:
            self._database.run(lambda connection: _copy(connection, lines, "text"))
        except DBAPIError as error:
            at = re.search(r"line (\d+)", getattr(error.orig.diag, "context", None) or "")
            what = f"results[{int(at[1]) - 1}]" if at else "the batch"
            raise self._refusal(error.orig, what, "a region of the batch") from error

    def _row(self, body: bytes, received: datetime) -> Row:
        result = validation.parse(body)
        orchestrator, region = result.orchestrator.lower(), result.region.upper()
        region_id = _region_id(self._regions, result.region, result.job_type)
        # of two fields of one name JSONB keeps the last
        whole = body.decode().rstrip().removesuffix("}")
        payload = f'{whole},"orchestrator":"{orchestrator}","region":{json.dumps(region)}}}'
        return Row(received, orchestrator, region_id, payload)

    def _insert(self, rows: list[Row]) -> None:
        columns = dict(zip(Row._fields, map(list, zip(*rows, strict=True)), strict=True))
        self._direct.run(_INSERT, columns)

    def _refusal(self, error: psycopg2.Error, what: str, region: str) -> Exception:
        if isinstance(error, WHAT_CANNOT_BE_STORED):
            return InvalidResult(f"{what} holds what PostgreSQL cannot store: {error.diag.message_primary}")
        if isinstance(error, ForeignKeyViolation):
            # it was deleted since it was looked up
            self._regions.forget()
            return InvalidResult(f"{region} is not registered any more")
        return error


_INSERT = """
    INSERT INTO events (event_time, orchestrator, region_id, payload)
    SELECT * FROM unnest(%(event_time)s::timestamptz[], %(orchestrator)s::text[], %(region_id)s::int[],
        %(payload)s::jsonb[])"""


def _region_id(regions: Regions, region: str, job_type: str) -> int:
    region_id = regions.id_of(region, job_type)
    if region_id is None:
        raise InvalidResult(f"region {region!r} is not registered for {job_type} results")
    return region_id


def _line(row: Row) -> str:
    payload = row.payload.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return f"{row.event_time.isoformat()}\t{row.orchestrator}\t{row.region_id}\t{payload}\n"


def copy(database: Database, regions: Regions, frame: pl.DataFrame) -> None:
    """Stores a frame of results at once: event_time, orchestrator, region, job_type, payload (JSON in a String).

    They are committed, all of them, once this returns. Raises InvalidResult
    for a region that is not registered, and what ``Database.run`` raises.
    """
    places = frame.select("region", "job_type").unique()
    ids = [_region_id(regions, region, job_type) for region, job_type in places.iter_rows()]
    hash64 = frame.join(places.with_columns(region_id=pl.Series(ids, dtype=pl.Int64)), on=["region", "job_type"])
    lines = BytesIO()
    hash64.select("event_time", "orchestrator", "region_id", "payload").sort("event_time").write_csv(
        lines, include_header=False, datetime_format=RFC_3339_FORMAT
    )
    lines.seek(0)
    database.run(lambda connection: _copy(connection, lines, "csv"))


def _copy(connection: Connection, lines: IO[Any], form: str) -> None:
    into = f"COPY events (event_time, orchestrator, region_id, payload) FROM STDIN (FORMAT {form})"
    with connection.connection.cursor() as cursor:
        try:
            cursor.copy_expert(into, lines)
        except psycopg2.Error as error:
            raise DBAPIError(into, None, error) from error


def count(database: Database) -> int:
    """How many results the database holds."""
    return database.run(lambda connection: connection.execute(text("SELECT count(*) FROM events")).scalar_one())


def analyze(database: Database) -> None:
    """Has the planner know the tables as they are after many results have come at once."""
    database.run(lambda connection: connection.execute(text("ANALYZE events, regions, job_types")))
