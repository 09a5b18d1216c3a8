"""While the database stalls, what memory has is answered within a moment, and what it has not may wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.lake.sync import sync
from leaderboard.services import Service
from leaderboard.settings import Settings
from queries import PostgresEvents
from queries.times import last_hours
from tests.conftest import load_events, rows
from tests.support.endpoints import RESULT
from tests.support.service import SECRET
from tests.support.serving import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DB_TIMEOUT_SECONDS = 60.0
MOMENT_SECONDS = 10.0
"""A request from memory waits about one second, and a busy machine takes its time. All else waits for much longer."""
FROM_MEMORY = ("/api/aggregated_stats", "/api/leaderboard", "/api/score_history", "/api/top_ai_score?orchestrator=0x1")


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(
        lake_sync_interval=0, postgres=database, secret=SECRET, db_timeout=DB_TIMEOUT_SECONDS, cache_type="NullCache"
    )


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


def test_results_come_from_the_lake_while_the_database_stalls(database: str, tmp_path: Path) -> None:
    path = f"/api/raw_stats?orchestrator={RESULT['orchestrator']}"
    put_result(database)
    with closing(PostgresEvents(database)) as postgres:
        sync(postgres, str(tmp_path / "lake"), lambda *_: None)
    app = create_app(
        Settings(
            lake_sync_interval=0, postgres=database, lake_url=str(tmp_path / "lake"), db_timeout=DB_TIMEOUT_SECONDS
        )
    )
    try:
        client = app.test_client()
        before = client.get(path)
        assert (before.status_code, list(before.json)) == (200, ["FRA"])
        assert "X-Data-As-Of" in stalled(client, database, FROM_MEMORY[0]).headers
        response = stalled(client, database, path, FROM_MEMORY[0])
        assert (response.status_code, response.json) == (200, before.json)
        assert "X-Data-As-Of" in response.headers
        eventually(lambda: "X-Data-As-Of" not in client.get(path).headers)
        # before anybody knows that the database stalls
        assert "X-Data-As-Of" in stalled(client, database, path).headers
    finally:
        app.extensions["leaderboard"].close()


def test_request_for_results_notices_a_stall_itself(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the thread that refreshes memory would notice it, too
    monkeypatch.setattr("queries.sources.live.refresher.CHANGE_POLL_SECONDS", 3600)
    path = f"/api/raw_stats?orchestrator={RESULT['orchestrator']}"
    put_result(database)
    with closing(PostgresEvents(database)) as postgres:
        sync(postgres, str(tmp_path / "lake"), lambda *_: None)
    with serving(
        Settings(
            lake_sync_interval=0, postgres=database, lake_url=str(tmp_path / "lake"), db_timeout=DB_TIMEOUT_SECONDS
        )
    ) as client:
        assert "X-Data-As-Of" not in client.get(path).headers
        assert "X-Data-As-Of" in stalled(client, database, path).headers


def put_result(url: str) -> None:
    load_events(url, [[time.time() - 60, RESULT["orchestrator"], RESULT["region"], "transcoding", {"success_rate": 1}]])


def stalled(client: FlaskClient, url: str, *paths: str) -> Any:
    """The response to the first of the paths, asked for last, while the events are locked."""
    with locked(url, "events IN ACCESS EXCLUSIVE"):
        began = time.monotonic()
        response = [client.get(path) for path in reversed(paths)][-1]
        assert time.monotonic() - began < MOMENT_SECONDS
        return response


def test_worker_that_starts_while_the_database_stalls_serves_the_lake(database: str, tmp_path: Path) -> None:
    put_result(database)
    with closing(PostgresEvents(database)) as postgres:
        sync(postgres, str(tmp_path / "lake"), lambda *_: None)
    settings = Settings(
        lake_sync_interval=0, postgres=database, lake_url=str(tmp_path / "lake"), db_timeout=DB_TIMEOUT_SECONDS
    )
    with locked(database, "events, schema_migrations IN ACCESS EXCLUSIVE"):
        service = Service(settings, database)
        began = time.monotonic()
        window = service.events.window(*last_hours(24))
        assert window.as_of is not None
        assert window.load().collect().height == 1
        assert time.monotonic() - began < MOMENT_SECONDS
    eventually(lambda: service.events.window(*last_hours(24)).as_of is None)
    service.close()
