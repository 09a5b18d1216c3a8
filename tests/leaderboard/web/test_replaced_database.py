"""A database that is dropped, emptied or replaced under a running service, which recovers by itself."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import psycopg2
import pytest
from flask.testing import FlaskClient
from psycopg2.extensions import parse_dsn

from leaderboard.app import create_app
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from tests.conftest import NEWEST, clone, drop, load_events, rows
from tests.support.endpoints import RESULT
from tests.support.service import ONE_WORKER, SECRET, RunningService
from tests.support.waiting import eventually

OLD, NEW = "0x" + "ab" * 20, "0x" + "cd" * 20
SCORES = "/api/aggregated_stats"
PATHS = (
    SCORES,
    f"/api/raw_stats?orchestrator={OLD}",
    "/api/leaderboard",
    "/api/pipelines",
    "/api/regions",
    f"/api/orchestrators/{OLD}",
    "/api/health",
)


def insert(url: str, orchestrator: str) -> None:
    now = datetime.now(UTC).timestamp()
    load_events(url, [[now, orchestrator, "FRA", "transcoding", {"success_rate": 1}]] * 3)


@pytest.fixture
def running(database: str) -> Iterator[FlaskClient]:
    insert(database, OLD)
    app = create_app(
        Settings(
            lake_sync_interval=0,
            postgres=database,
            secret=SECRET,
            regions_cache_timeout=0,
            pipelines_cache_timeout=0,
            db_timeout=5,
        )
    )
    client = app.test_client()
    assert list(client.get(SCORES).json) == [OLD]
    assert post(client).status_code == 200
    rows(database, f"DELETE FROM events WHERE orchestrator = '{RESULT['orchestrator']}'")
    yield client
    app.extensions["leaderboard"].close()


def post(client: FlaskClient) -> Any:
    body = json.dumps(RESULT).encode()
    return client.post("/api/post_stats", data=body, headers={"Authorization": sign(SECRET, body)})


def name_of(url: str) -> str:
    name: str = parse_dsn(url)["dbname"]
    return name


def execute(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def drop_and_create(server: str, template: str, url: str) -> None:
    drop(server, name_of(url))
    execute(server.format("postgres"), f"CREATE DATABASE {name_of(url)}")


def only_drop(server: str, template: str, url: str) -> None:
    """The service creates it again after a while."""
    drop(server, name_of(url))


def drop_schema(server: str, template: str, url: str) -> None:
    execute(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def rename_schema(server: str, template: str, url: str) -> None:
    execute(url, "ALTER SCHEMA public RENAME TO before", "CREATE SCHEMA public")


def restore(server: str, template: str, url: str) -> None:
    """As pg_restore does: the same tables in a new database, whose regions have other ids."""
    clone(server, template, name_of(url))
    execute(url, "UPDATE regions SET id = id + 1000")


def swap(server: str, template: str, url: str) -> None:
    """Another database gets the name, with tables and ids like those of the first."""
    clone(server, template, "other_database")
    drop(server, name_of(url))
    execute(server.format("postgres"), f"ALTER DATABASE other_database RENAME TO {name_of(url)}")


@pytest.mark.slow
@pytest.mark.parametrize("replace", [drop_and_create, only_drop, drop_schema, rename_schema, restore, swap])
def test_service_recovers_by_itself(
    server: str, template: str, database: str, running: FlaskClient, replace: Callable[[str, str, str], None]
) -> None:
    replace(server, template, database)
    statuses = {running.get(path).status_code for path in PATHS for _ in range(3)} | {post(running).status_code}
    assert statuses & {200, 503} == statuses
    eventually(lambda: post(running).status_code == 200)
    assert rows(database, "SELECT version FROM schema_migrations") == [(NEWEST,)]
    insert(database, NEW)

    def is_current() -> bool:
        answers = [running.get(path) for path in PATHS]
        return all(answer.status_code == 200 and "X-Data-As-Of" not in answer.headers for answer in answers)

    eventually(is_current, 20)
    # nothing of the database before is answered, and all of the new one is
    assert set(running.get(SCORES).json) == {NEW, RESULT["orchestrator"]}
    assert running.get(f"/api/raw_stats?orchestrator={OLD}").json == {}
    assert sum(map(len, running.get(f"/api/raw_stats?orchestrator={NEW}").json.values())) == 3
    stored = rows(
        database,
        "SELECT r.name, j.name FROM events e JOIN regions r ON r.id = region_id JOIN job_types j ON j.id = job_type_id "
        f"WHERE orchestrator = '{RESULT['orchestrator']}'",
    )
    assert set(stored) == {("FRA", "transcoding")}
    eventually(lambda: running.get("/api/health").json["status"] == "ok", 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    "statements",
    [
        ["DROP VIEW event_details", "ALTER TABLE events RENAME TO kept"],
        ["ALTER TABLE schema_migrations RENAME TO kept", "CREATE TABLE schema_migrations (version varchar)"],
    ],
    ids=["table dropped", "record of another program"],
)
def test_database_that_is_not_ours_any_more_is_a_503_until_it_is(
    database: str, running: FlaskClient, statements: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    execute(database, *statements)
    eventually(lambda: running.get("/api/health").json["postgres"]["ok"] is False, 20)
    assert running.get(f"/api/raw_stats?orchestrator={OLD}").status_code == 503
    eventually(lambda: post(running).status_code == 503, 20)
    eventually(lambda: "another program's" in caplog.text)
    if "schema_migrations" in statements[0]:
        execute(database, "DROP TABLE schema_migrations", "ALTER TABLE kept RENAME TO schema_migrations")
    else:
        execute(database, "ALTER TABLE kept RENAME TO events")
    eventually(lambda: running.get("/api/health").json["status"] == "ok", 20)
    assert set(running.get(SCORES).json) == {OLD}
    assert post(running).status_code == 200


@pytest.mark.slow
def test_worker_that_starts_on_a_foreign_database_does_not_end_the_service(database: str) -> None:
    with RunningService({"POSTGRES": database}, ONE_WORKER) as service:
        assert service.get(SCORES).status == 200
        execute(database, "ALTER TABLE schema_migrations RENAME COLUMN dirty TO other")
        master = psutil.Process(service.process.pid)
        (worker,) = master.children()
        worker.kill()
        worker.wait()
        assert eventually(lambda: status_of(service)) == 503
        assert service.process.poll() is None
        execute(database, "ALTER TABLE schema_migrations RENAME COLUMN other TO dirty")
        eventually(lambda: status_of(service) == 200)


def status_of(service: RunningService) -> int | None:
    try:
        return service.get(SCORES).status
    except OSError:
        return None
