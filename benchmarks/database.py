"""The database under measurement: its data, and what it does in plain SQL."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import execute_values

from benchmarks.measured_queries import UNTIL, MeasuredQuery
from benchmarks.service import LEADERBOARD, environment
from leaderboard.postgres.migrations import migrate

RESULT = {
    "region": "FRA",
    "orchestrator": "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7",
    "success_rate": 1.0,
    "round_trip_time": 0.717426,
    "seg_duration": 2.0,
    "segments_sent": 15,
    "segments_received": 15,
    "upload_time": 0.102,
    "download_time": 0.088,
    "transcode_time": 0.315,
    "errors": [],
    "timestamp": 1_788_000_000,
}
"""A result as a tester posts it."""

_COPY = """COPY (SELECT id, event_time, orchestrator, region_name, job_type_name, payload->>'pipeline',
    payload->>'model', success_rate, round_trip_time, seg_duration, payload FROM event_details) TO STDOUT"""
_INSERT = "INSERT INTO events (orchestrator, region_id, payload) VALUES %s"
_REGION_ID = 1


def fill(url: str, events: int, marker: Path) -> None:
    """Fills the database with results of one year, unless ``marker`` says that an earlier run did."""
    migrate(url, 20)
    if marker.exists():
        return
    with autocommit_cursor(url) as cursor:
        # an earlier run may have been interrupted
        cursor.execute("TRUNCATE events")
    command = [LEADERBOARD, "simulate", str(events), "--until", UNTIL.isoformat()]
    subprocess.run(command, env=environment(POSTGRES=url), check=True)
    with autocommit_cursor(url) as cursor:
        # autovacuum would do this some time later, during the measurement
        cursor.execute("VACUUM ANALYZE")
    marker.touch()


@contextmanager
def autocommit_cursor(url: str) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor over a connection of its own."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


@contextmanager
def discard_new_events(url: str) -> Iterator[None]:
    """Deletes the events at the end that were stored meanwhile."""
    last_id = fetch_value(url, "SELECT max(id) FROM events")
    try:
        yield
    finally:
        with autocommit_cursor(url) as cursor:
            cursor.execute("DELETE FROM events WHERE id > %s", (last_id,))
            cursor.execute("VACUUM ANALYZE events")


def fetch_value(url: str, statement: str) -> Any:
    """The one value that a statement returns."""
    with autocommit_cursor(url) as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError(f"no rows: {statement}")
    return row[0]


def run_sql(connection: psycopg2.extensions.connection, query: MeasuredQuery) -> None:
    """Runs the statements of a query and fetches their rows."""
    with connection, connection.cursor() as cursor:
        for statement in query.sql:
            cursor.execute(statement, query.parameters)
            cursor.fetchall()


def copy_seconds(url: str) -> float:
    """Seconds that the database takes to send all events to a client that discards them."""
    began = time.perf_counter()
    with autocommit_cursor(url) as cursor, open(os.devnull, "wb") as discarded:
        cursor.copy_expert(_COPY, discarded)
    return time.perf_counter() - began


def inserts_per_second(url: str, results: int, seconds: float) -> float:
    """Results per second that one connection stores with plain INSERTs of so many results each."""
    stored, began = 0, time.perf_counter()
    with autocommit_cursor(url) as cursor:
        while time.perf_counter() - began < seconds:
            _insert(cursor, results)
            stored += results
        return stored / (time.perf_counter() - began)


def insert_results(url: str, results: int) -> None:
    """Stores so many results of now."""
    with autocommit_cursor(url) as cursor:
        _insert(cursor, results)


def _insert(cursor: psycopg2.extensions.cursor, results: int) -> None:
    rows = [(RESULT["orchestrator"], _REGION_ID, json.dumps(RESULT))] * results
    execute_values(cursor, _INSERT, rows, page_size=results)
