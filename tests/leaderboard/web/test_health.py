"""Health asks what matters, answers within about a second whatever is silent, and is 503 only where answers are not."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.postgres.disk_space import MIN_FREE_BYTES
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from queries.concurrency import run_in_thread
from tests.conftest import NEWEST, load_events, rows
from tests.support.disks import small_disk
from tests.support.endpoints import RESULT
from tests.support.postgres import StoppablePostgres, copy_data_dir
from tests.support.service import ONE_WORKER, SECRET, RunningService
from tests.support.waiting import eventually

MAX_SECONDS = 5
"""Several times the limit of health, for a busy machine. Without the limit, it takes DB_TIMEOUT, 20 s."""


@pytest.fixture
def open_client() -> Iterator[Callable[..., FlaskClient]]:
    with ExitStack() as opened:

        def open_client(url: str, **settings: Any) -> FlaskClient:
            app = create_app(Settings(lake_sync_interval=0, postgres=url, secret=SECRET, **settings))
            opened.callback(app.extensions["leaderboard"].close)
            return app.test_client()

        yield open_client


def post(client: FlaskClient) -> Any:
    body = json.dumps(RESULT).encode()
    return client.post("/api/post_stats", data=body, headers={"Authorization": sign(SECRET, body)})


def health(client: FlaskClient) -> tuple[int, dict[str, Any]]:
    began = time.monotonic()
    response = client.get("/api/health")
    assert time.monotonic() - began < MAX_SECONDS
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, response.json


@contextmanager
def locked(url: str, statement: str) -> Iterator[None]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


def test_service_that_is_well(database: str, open_client: Callable[..., FlaskClient]) -> None:
    assert health(open_client(database)) == (
        200,
        {
            "status": "ok",
            "postgres": {"ok": True},
            "posts": {"ok": True},
            "database": {"role": "primary", "encoding": "UTF8", "version": NEWEST, "expected_version": NEWEST},
        },
    )


@pytest.mark.parametrize(
    ("record", "warning"),
    [(f"version = {NEWEST + 1}", "a newer release made the schema"), ("dirty = true", "a migration is running")],
)
def test_schema_that_needs_attention_is_a_warning(
    database: str, open_client: Callable[..., FlaskClient], record: str, warning: str
) -> None:
    client = open_client(database)
    assert client.get("/api/aggregated_stats").status_code == 200
    rows(database, f"UPDATE schema_migrations SET {record}")
    status, found = health(client)
    assert (status, found["status"]) == (200, "ok")
    assert warning in found["database"]["warning"]


def test_read_only_database_is_degraded(database: str, open_client: Callable[..., FlaskClient]) -> None:
    client = open_client(database)
    name = database.rpartition("/")[2].partition("?")[0]
    rows(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    # the role's settings hold for new sessions
    rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
         "AND pid <> pg_backend_pid()")  # fmt: skip
    eventually(lambda: post(client).status_code == 503)
    status, found = health(client)
    assert (status, found["status"], found["posts"]["ok"]) == (200, "degraded", False)
    assert "read-only" in found["posts"]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["SHARE", "ACCESS EXCLUSIVE"])
@pytest.mark.parametrize("table", ["events", "regions", "pruned", "schema_migrations"])
def test_locks_do_not_hold_health(
    database: str, open_client: Callable[..., FlaskClient], table: str, mode: str
) -> None:
    client = open_client(database)
    assert client.get("/api/aggregated_stats").status_code == 200
    with locked(database, f"LOCK TABLE {table} IN {mode} MODE"):
        for _ in range(3):
            status, _ = health(client)
            assert status == 200


@pytest.mark.slow
def test_frozen_database_is_degraded_within_a_moment(
    stoppable_postgres: StoppablePostgres, open_client: Callable[..., FlaskClient]
) -> None:
    client = open_client(stoppable_postgres.url)
    assert client.get("/api/aggregated_stats").status_code == 200
    with stoppable_postgres.frozen():
        for _ in range(3):
            status, found = health(client)
            assert (status, found["status"], found["postgres"]["ok"]) == (200, "degraded", False)
    eventually(lambda: health(client)[1]["status"] == "ok")


@pytest.mark.slow
def test_database_that_was_never_there_is_down(
    stoppable_postgres: StoppablePostgres, open_client: Callable[..., FlaskClient]
) -> None:
    stoppable_postgres.stop()
    client = open_client(stoppable_postgres.url)
    status, found = health(client)
    assert (status, found["status"], found["postgres"]["ok"]) == (503, "down", False)
    stoppable_postgres.start()
    eventually(lambda: health(client)[1]["status"] == "ok")


@pytest.mark.slow
def test_full_pool_does_not_hold_health(database: str, open_client: Callable[..., FlaskClient]) -> None:
    client = open_client(database)
    assert client.get("/api/aggregated_stats").status_code == 200
    rows(database, "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS "
         "$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$; "
         "CREATE TRIGGER stall BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION stall()")  # fmt: skip
    database_pool = client.application.extensions["leaderboard"].database
    with locked(database, "SELECT pg_advisory_xact_lock(1)"):
        calls = [
            run_in_thread(database_pool.run, lambda cursor: cursor.execute("SELECT pg_advisory_xact_lock(1)"))
            for _ in range(20)
        ]
        eventually(lambda: rows(database, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        status, found = health(client)
        assert (status, found["status"], found["postgres"]["ok"]) == (200, "ok", True)
    for call in calls:
        call.exception(60)


@pytest.mark.slow
def test_silent_lake_is_degraded(
    database: str, open_client: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "x"}.items():
        monkeypatch.setenv(name, value)
    load_events(database, [[datetime.now(UTC).timestamp(), "0x" + "ab" * 20, "FRA", "transcoding", {}]])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        client = open_client(database, lake_url="s3://bucket/lake")
        for _ in range(2):
            status, found = health(client)
            assert (status, found["status"], found["lake"]["ok"]) == (200, "degraded", False)
            assert found["postgres"] == {"ok": True}


@pytest.mark.slow
def test_full_disk_of_the_embedded_server_is_degraded(data_dir_template: Path) -> None:
    with small_disk(512 << 20) as disk:
        data_dir = disk / "data"
        data_dir.mkdir()
        copy_data_dir(data_dir_template, data_dir)
        with RunningService({"DATA_DIR": str(data_dir)}, ONE_WORKER) as service:
            assert service.get("/api/health").json["posts"] == {"ok": True}
            found = os.statvfs(disk)
            (disk / "filler").write_bytes(bytes(found.f_bavail * found.f_frsize - MIN_FREE_BYTES // 2))
            response = service.get("/api/health")
            assert (response.status, response.json["status"]) == (200, "degraded")
            assert response.json["posts"] == {"ok": False, "error": "the disk of DATA_DIR is full"}
