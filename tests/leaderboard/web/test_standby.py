"""The service on a standby: answers up to the moment that it says, no posts, and a normal service once promoted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from tests.conftest import load_events, new_folder, rows
from tests.support.endpoints import RESULT
from tests.support.postgres import StoppablePostgres
from tests.support.service import SECRET
from tests.support.standby import Standby, standby_of
from tests.support.waiting import eventually

ADDRESS = "0x" + "ab" * 20
SCORES = "/api/aggregated_stats"
RAW_STATS = f"/api/raw_stats?orchestrator={ADDRESS}"
PATHS = (SCORES, RAW_STATS, "/api/leaderboard", "/api/regions", "/api/pipelines", f"/api/orchestrators/{ADDRESS}")


def insert(url: str, number: int = 1) -> None:
    now = datetime.now(UTC).timestamp()
    load_events(url, [[now, ADDRESS, "FRA", "transcoding", {"success_rate": 1, "n": number}]])


@contextmanager
def service_on(url: str, tmp_path: Path) -> Iterator[FlaskClient]:
    settings = Settings(
        lake_sync_interval=0, postgres=url, secret=SECRET, lake_url=str(tmp_path / "lake"), regions_cache_timeout=0
    )
    app: Flask = create_app(settings)
    yield app.test_client()
    app.extensions["leaderboard"].close()


def post_to(client: FlaskClient, result: dict[str, Any]) -> Any:
    body = json.dumps(result).encode()
    return client.post("/api/post_stats", data=body, headers={"Authorization": sign(SECRET, body)})


def count(client: FlaskClient) -> int:
    return sum(map(len, client.get(RAW_STATS).json.values()))


def as_of(response: Any) -> datetime:
    return datetime.fromisoformat(response.headers["X-Data-As-Of"])


def test_standby_answers_like_its_primary_and_refuses_posts(
    stoppable_postgres: StoppablePostgres, standby: Standby, tmp_path: Path
) -> None:
    insert(stoppable_postgres.url)
    with (
        service_on(stoppable_postgres.url, tmp_path / "a") as primary,
        service_on(standby.url, tmp_path / "b") as replica,
    ):
        standby.wait_for(stoppable_postgres)
        for path in PATHS:
            response = replica.get(path)
            assert (path, response.status_code, response.json) == (path, 200, primary.get(path).json)
        assert as_of(replica.get(SCORES)) <= datetime.now(UTC)
        assert "X-Data-As-Of" not in primary.get(SCORES).headers

        refused = post_to(replica, RESULT)
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
        assert "read-only" in refused.json["error"]

        health = replica.get("/api/health")
        assert health.status_code == 200
        assert health.json["status"] == "degraded"
        assert health.json["postgres"]["ok"] is True
        assert health.json["database"]["role"] == "standby"
        assert health.json["posts"]["ok"] is False


def test_results_that_commit_late_are_in_the_next_answer(
    stoppable_postgres: StoppablePostgres, standby: Standby, tmp_path: Path
) -> None:
    with service_on(standby.url, tmp_path) as replica:
        with psycopg2.connect(stoppable_postgres.url) as late, late.cursor() as cursor:
            cursor.execute(
                "INSERT INTO events (event_time, orchestrator, region_id, payload) "
                "SELECT now(), %s, id, '{}' FROM regions WHERE name = 'FRA' LIMIT 1",
                (ADDRESS,),
            )
            for number in range(3):
                insert(stoppable_postgres.url, number)
            standby.wait_for(stoppable_postgres)
            assert count(replica) == 3
            before = as_of(replica.get(SCORES))
        late.close()
        standby.wait_for(stoppable_postgres)
        assert count(replica) == 4
        assert as_of(replica.get(SCORES)) > before


def test_delayed_standby_says_how_far_it_reaches(stoppable_postgres: StoppablePostgres, tmp_path: Path) -> None:
    insert(stoppable_postgres.url)
    began = datetime.now(UTC)
    with (
        new_folder() as folder,
        standby_of(stoppable_postgres, folder, recovery_min_apply_delay="1h") as delayed,
        service_on(delayed.url, tmp_path) as replica,
    ):
        insert(stoppable_postgres.url, 2)
        stored = datetime.now(UTC)
        eventually(lambda: delayed.query("SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()") == [(True,)])
        for path in (SCORES, RAW_STATS):
            response = replica.get(path)
            assert response.status_code == 200
            assert as_of(response) < stored
        assert count(replica) == 1
        assert replica.get(SCORES).status_code == 200
        assert began < stored


def test_promoted_standby_becomes_a_normal_service_and_back(
    stoppable_postgres: StoppablePostgres, standby: Standby, tmp_path: Path
) -> None:
    insert(stoppable_postgres.url)
    standby.wait_for(stoppable_postgres)
    with service_on(standby.url, tmp_path) as replica:
        assert count(replica) == 1
        assert "X-Data-As-Of" in replica.get(SCORES).headers
        stoppable_postgres.stop()
        standby.promote()
        eventually(lambda: post_to(replica, RESULT).status_code == 200)
        response = eventually(lambda: _current(replica))
        assert set(response.json) == {ADDRESS, RESULT["orchestrator"].lower()}
        eventually(lambda: replica.get("/api/health").json["status"] == "ok")

        # without a primary to follow, it stays in recovery
        standby.stop()
        (standby.data_dir / "postgres" / "standby.signal").touch()
        standby.start()
        eventually(lambda: rows(standby.url, "SELECT pg_is_in_recovery()") == [(True,)])
        eventually(lambda: replica.get("/api/health").json.get("database", {}).get("role") == "standby")
        assert post_to(replica, RESULT).status_code == 503
        response = replica.get(SCORES)
        assert response.status_code == 200
        assert set(response.json) == {ADDRESS, RESULT["orchestrator"].lower()}
        assert "X-Data-As-Of" in response.headers


def _current(client: FlaskClient) -> Any:
    response = client.get(SCORES)
    return response if response.status_code == 200 and "X-Data-As-Of" not in response.headers else None
