"""While the database stalls, what memory has is answered within a moment, and what it has not may wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from leaderboard.settings import Settings
from tests.conftest import rows
from tests.support.endpoints import RESULT
from tests.support.service import SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DB_TIMEOUT_SECONDS = 60.0
MOMENT_SECONDS = 10.0
"""A request from memory waits about one second, and a busy machine takes its time. All else waits for much longer."""
FROM_MEMORY = ("/api/aggregated_stats", "/api/leaderboard", "/api/score_history", "/api/top_ai_score?orchestrator=0x1")


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(postgres=database, secret=SECRET, db_timeout=DB_TIMEOUT_SECONDS, cache_type="NullCache")


@contextmanager
def locked(url: str, lock: str) -> Iterator[None]:
    """Another session holds a lock."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {lock} MODE")
        yield


@pytest.mark.parametrize(
    "lock", ["events IN ACCESS EXCLUSIVE", "events, regions, job_types, pruned IN ACCESS EXCLUSIVE"]
)
def test_locked_tables_delay_nothing_that_memory_has(
    database: str, client: FlaskClient, post: Callable[..., Any], lock: str
) -> None:
    assert post(RESULT).status_code == 200
    before = {path: client.get(path) for path in FROM_MEMORY}
    assert {(response.status_code, response.headers.get("X-Data-As-Of")) for response in before.values()} == {
        (200, None)
    }
    with locked(database, lock):
        began = time.monotonic()
        for path in FROM_MEMORY * 5:
            response = client.get(path)
            assert (response.status_code, response.json) == (200, before[path].json)
            assert "X-Data-As-Of" in response.headers
        assert time.monotonic() - began < MOMENT_SECONDS
        # the service keeps one session waiting for its new events, and one more for what may have changed
        assert len(rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted")) <= 2
    eventually(lambda: "X-Data-As-Of" not in client.get(FROM_MEMORY[0]).headers)
    assert post(RESULT | {"region": "MDW"}).status_code == 200
    response = client.get(FROM_MEMORY[0])
    assert "X-Data-As-Of" not in response.headers
    assert set(response.json[RESULT["orchestrator"]]) == {"FRA", "MDW"}


@pytest.mark.parametrize("lock", ["events IN SHARE", "regions IN ACCESS EXCLUSIVE", "pruned IN ACCESS EXCLUSIVE"])
def test_locks_that_hide_no_event_leave_responses_current(
    database: str, client: FlaskClient, post: Callable[..., Any], lock: str
) -> None:
    assert post(RESULT).status_code == 200
    before = {path: client.get(path) for path in FROM_MEMORY}
    with locked(database, lock):
        began = time.monotonic()
        for path in FROM_MEMORY * 5:
            response = client.get(path)
            assert (response.status_code, response.json) == (200, before[path].json)
            assert "X-Data-As-Of" not in response.headers
        assert time.monotonic() - began < MOMENT_SECONDS


def test_window_that_is_not_in_memory_waits_for_the_database(
    database: str, client: FlaskClient, post: Callable[..., Any]
) -> None:
    assert post(RESULT).status_code == 200
    assert client.get(FROM_MEMORY[0]).status_code == 200
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        assert "X-Data-As-Of" in client.get(FROM_MEMORY[0]).headers
        # psycopg2 ends the lock after the request has begun to wait
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '3s'")
        response = client.get("/api/aggregated_stats?since=1")
        assert (response.status_code, set(response.json[RESULT["orchestrator"]])) == (200, {"FRA"})
        assert "X-Data-As-Of" not in response.headers
