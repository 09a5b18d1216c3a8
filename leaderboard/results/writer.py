"""Writes results to the database: one that was posted, a batch, or a frame of them."""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO

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
from leaderboard.results.batches import check_size, convert_each
from leaderboard.results.event_table import INSERT, RegionNotFound, Row, copy_lines, copy_rows, find_region_ids
from leaderboard.results.group_commit import GroupCommit
from leaderboard.results.validation import InvalidResult, Result, UnknownRegion
from leaderboard.results.write_failures import WriteFailures
from queries.concurrency import CLIENT_MARGIN_SECONDS
from queries.db import DirectConnection
from queries.errors import OutcomeUnknown, StoreTimeout, StoreUnavailable
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


class ResultWriter:
    """Writes what testers post.

    Single results of several requests share a transaction on a connection of
    their own. A batch is one transaction on a connection of ``database``. The
    transaction itself finds the id of each region, so that a result is never
    stored under the id that a region had once.

    Every ``deadline`` is a moment of time.monotonic(), by which a post is
    decided. What raises StoreUnavailable is certainly not stored, now or
    later. Where nobody knows, it raises OutcomeUnknown.
    """

    def __init__(self, database: Database, regions: RegionRegistry, connection: DirectConnection) -> None:
        self._database = database
        self._regions = regions
        self._connection = connection
        self.failures = WriteFailures()
        self._group_commit = GroupCommit(self._insert)

    def store(self, body: bytes, deadline: float) -> None:
        """Stores one result. It is committed when this returns.

        It is stored as it was posted, with unknown fields, except for the
        orchestrator in lower case and the region in upper case. Raises
        InvalidResult, StoreUnavailable and OutcomeUnknown.
        """
        received = datetime.now(UTC)

        def write() -> None:
            row = self._to_row(body, validation.parse(body), received, deadline)
            log.log(TRACE, "storing %r", row.payload)
            self._group_commit.add(row, deadline)

        self._write(write, "the body")

    def store_batch(self, bodies: list[bytes], deadline: float) -> None:
        """Stores all of these results or none. They are committed when this returns. Raises what ``store`` raises."""
        received = datetime.now(UTC)

        def write() -> None:
            results = convert_each(lambda body: validation.parse(check_size(body)), bodies)
            # only now, since this may register regions
            rows = convert_each(
                lambda posted: self._to_row(*posted, received, deadline), zip(bodies, results, strict=True)
            )
            log.log(TRACE, "storing a batch of %s results", len(rows))
            self._database.run(lambda cursor: copy_rows(cursor, rows), _seconds_until(deadline))

        self._write(write, "the batch")

    def _write(self, write: Callable[[], None], subject: str) -> None:
        """Calls ``write``, and once more if a region has changed since it was read."""
        try:
            try:
                with self.failures.noted():
                    write()
            except (RegionNotFound, ForeignKeyViolation):
                self._regions.reload()
                with self.failures.noted():
                    write()
        except RegionNotFound as error:
            raise _to_unknown_region(error) from error
        except OutcomeUnknown:
            raise
        except StoreTimeout as error:
            # 504 is for what may have been stored
            raise StoreUnavailable(str(error)) from error
        except psycopg2.Error as error:
            raise _to_invalid_result(error, subject) from error

    def _to_row(self, body: bytes, result: Result, received: datetime, deadline: float) -> Row:
        orchestrator, region = result.orchestrator.lower(), result.region.upper()
        name = self._regions.find(result.region, result.job_type, _seconds_until(deadline))
        if name is None:
            raise _refusal(self._regions, result.region, result.job_type)
        # JSONB keeps the last of two fields with one name
        without_end = body.decode().rstrip().removesuffix("}")
        payload = f'{without_end},"orchestrator":"{orchestrator}","region":{json.dumps(region)}}}'
        return Row(received, orchestrator, name, result.job_type, payload)

    def _insert(self, rows: list[Row], timeout: float) -> list[Exception | None]:
        """Stores rows in one transaction, except those whose region is not registered any more."""
        outcomes: list[Exception | None] = [None] * len(rows)
        columns = dict(zip(Row._fields, map(list, zip(*rows, strict=True)), strict=True))
        for (number,) in self._connection.write(INSERT, columns, min(timeout, self._max_write_seconds)):
            outcomes[number - 1] = RegionNotFound(rows[number - 1].region, rows[number - 1].job_type)
        return outcomes

    @property
    def _max_write_seconds(self) -> float:
        return self._connection.timeout + CLIENT_MARGIN_SECONDS


def copy(database: Database, regions: RegionRegistry, frame: pl.DataFrame) -> None:
    """Stores a frame with the columns event_time, orchestrator, region, job_type and payload (JSON as String).

    All rows are committed when this returns, in one transaction. Raises
    InvalidResult for a region that is not registered, and StoreUnavailable,
    StoreTimeout and OutcomeUnknown.
    """
    pairs = frame.select("region", "job_type").unique()
    names = [regions.find(region, job_type, database.timeout) for region, job_type in pairs.iter_rows()]
    pairs = pairs.with_columns(name=pl.Series(names, dtype=pl.String))
    for region, job_type, _ in pairs.filter(pl.col("name").is_null()).iter_rows():
        raise _refusal(regions, region, job_type)

    def work(cursor: Cursor) -> None:
        with find_region_ids(cursor, list(pairs.select("name", "job_type").iter_rows())) as ids:
            region_id = pl.Series([ids[name, job_type] for _, job_type, name in pairs.iter_rows()], dtype=pl.Int64)
            rows = frame.join(pairs.with_columns(region_id=region_id), on=["region", "job_type"])
            lines = BytesIO()
            rows.select("event_time", "orchestrator", "region_id", "payload").sort("event_time").write_csv(
                lines, include_header=False, datetime_format=RFC_3339_FORMAT
            )
            lines.seek(0)
            copy_lines(cursor, lines, "csv")

    try:
        database.run(work)
    except RegionNotFound as error:
        raise _to_unknown_region(error) from error


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


def _refusal(regions: RegionRegistry, region: str, job_type: str) -> UnknownRegion:
    return UnknownRegion(regions.explain_refusal(region, job_type), region, job_type)


def _to_unknown_region(error: RegionNotFound) -> UnknownRegion:
    return UnknownRegion(str(error), error.region, error.job_type)


def _to_invalid_result(error: psycopg2.Error, subject: str) -> Exception:
    """The InvalidResult where the result is at fault, else the error itself."""
    if isinstance(error, VALUE_ERRORS):
        if line := re.search(r"line (\d+)", error.diag.context or ""):
            subject = f"results[{int(line[1]) - 1}]"
        return InvalidResult(f"{subject} holds what PostgreSQL cannot store: {error.diag.message_primary}")
    if isinstance(error, ForeignKeyViolation):
        return UnknownRegion("the region of a result is not registered any more")
    return error


def _seconds_until(deadline: float) -> float:
    """How many seconds are left. Raises StoreUnavailable where there are none."""
    if (seconds := deadline - time.monotonic()) <= 0:
        raise StoreUnavailable("the request took too long, and nothing of it is stored")
    return seconds
