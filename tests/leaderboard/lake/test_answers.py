"""Answers are the same with and without a lake, however far it lags, and go on without the database."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.lake.prune import Pruning
from leaderboard.lake.sync import Rewrite
from leaderboard.settings import Settings
from tests.conftest import conformance, load_events
from tests.leaderboard.lake.conftest import ADDRESS, Stores, no_progress, put
from tests.leaderboard.web.test_conformance import RECORDED, assert_covers
from tests.support.commands import run_leaderboard
from tests.support.postgres import StoppablePostgres
from tests.support.service import ONE_WORKER, RunningService

EVENTS = conformance("events")["events"]
CASES = [case for case in RECORDED["cases"] if case["status"] == 200 and case["path"] != "/api/regions"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def lag(stores: Stores, exported: int) -> None:
    """A database with the conformance set, of which the lake has the first so many."""
    load_events(stores.url, EVENTS[:exported])
    stores.sync()
    load_events(stores.url, EVENTS[exported:])


def prune_half(stores: Stores) -> None:
    load_events(stores.url, EVENTS)
    stores.sync()
    middle = datetime.fromtimestamp((EVENTS[0][0] + EVENTS[-1][0]) / 2, UTC)
    found = Pruning(
        stores.url, stores.postgres, stores.snapshot(), middle.replace(hour=0, minute=0, second=0, microsecond=0), 20
    )
    assert found.prepare(no_progress) > 500
    assert sum(found.delete_batches()) > 500


def prune_half_and_sync(stores: Stores) -> None:
    prune_half(stores)
    stores.sync()


STATES: dict[str, Callable[[Stores], object]] = {
    "nothing is exported": lambda stores: lag(stores, 0),
    "some is exported": lambda stores: lag(stores, 1500),
    "all is exported": lambda stores: lag(stores, len(EVENTS)),
    "half was pruned": prune_half,
    "half was pruned and the lake knows": prune_half_and_sync,
}


def serve(stores: Stores, live_memory_mib: int) -> Flask:
    return create_app(
        Settings(
            postgres=stores.url,
            lake_url=stores.lake,
            live_memory_mib=live_memory_mib,
            start_time_window=RECORDED["start_time_window_hours"],
            cache_type="NullCache",
        )
    )


def assert_recorded(client: FlaskClient, case: dict[str, Any]) -> None:
    response = client.get(case["path"], query_string=case["query"])
    assert response.status_code == 200
    assert "X-Data-As-Of" not in response.headers
    assert_covers(response.json, case["body"], f"{case['path']}?{case['query']}")


@pytest.mark.parametrize("prepare", STATES.values(), ids=STATES.keys())
def test_the_recorded_answers_are_given_whatever_the_lake_has(
    stores: Stores, prepare: Callable[[Stores], None]
) -> None:
    prepare(stores)
    app = serve(stores, 512)
    try:
        for case in CASES:
            assert_recorded(app.test_client(), case)
    finally:
        app.extensions["leaderboard"].close()


def test_the_recorded_answers_are_given_while_the_lake_is_written(stores: Stores) -> None:
    prune_half(stores)
    app, done, syncs = serve(stores, 1), threading.Event(), []

    def keep_syncing() -> None:
        while not done.is_set():
            syncs.append(stores.sync(Rewrite.ALL))

    syncing = threading.Thread(target=keep_syncing)
    syncing.start()
    try:
        for case in CASES:
            assert_recorded(app.test_client(), case)
    finally:
        done.set()
        syncing.join(60)
        app.extensions["leaderboard"].close()
    assert len(syncs) > 1


@pytest.fixture
def with_lake(stoppable_postgres: StoppablePostgres, tmp_path: Path) -> dict[str, str]:
    """The settings of a service over a database of its own that may be stopped, with a lake of ten days."""
    settings = {
        "POSTGRES": stoppable_postgres.url,
        "LAKE_URL": str(tmp_path / "lake"),
        "REGIONS_CACHE_TIMEOUT": "0",
        "PIPELINES_CACHE_TIMEOUT": "0",
    }
    assert run_leaderboard("migrate", "up", POSTGRES=stoppable_postgres.url).returncode == 0
    now = datetime.now(UTC)
    put(stoppable_postgres.url, *(now - days * DAY - HOUR for days in range(10)))
    return settings


def as_of(answer: Any) -> datetime:
    return datetime.fromisoformat(answer.headers["X-Data-As-Of"])


def test_without_the_database_memory_and_the_lake_answer_and_say_as_of_when(
    stoppable_postgres: StoppablePostgres,
    with_lake: dict[str, str],
) -> None:
    assert run_leaderboard("lake", "sync", **with_lake).returncode == 0
    synced = datetime.now(UTC)
    week = int((synced - 7 * DAY).timestamp())
    with RunningService(with_lake, ONE_WORKER) as service:
        paths = [
            "/api/aggregated_stats",
            f"/api/aggregated_stats?since={week}",
            f"/api/raw_stats?orchestrator={ADDRESS}&since={week}",
            f"/api/top_ai_score?orchestrator={ADDRESS}",
            "/api/pipelines",
            "/api/regions",
            "/api/score_history",
            f"/api/leaderboard?since={week}",
            f"/api/orchestrators/{ADDRESS}?since={week}",
        ]
        before = [service.get(path).json for path in paths]
        assert len(before[2]["FRA"]) == 7

        stoppable_postgres.stop()
        for path, expected in zip(paths, before, strict=True):
            answer = service.get(path)
            assert (answer.status, answer.json) == (200, expected), path
            assert as_of(answer) <= datetime.now(UTC), path
            assert "X-Data-As-Of" in answer.headers["Access-Control-Expose-Headers"]
        # results are the lake's alone
        assert as_of(service.get(paths[2])) < synced
        assert as_of(service.get(paths[-1])) < synced
        assert service.post({"region": "FRA", "orchestrator": ADDRESS}).status == 503
        health = service.get("/api/health")
        assert (health.status, health.json["status"]) == (503, "degraded")
        # what is to come nobody has
        later = int((datetime.now(UTC) + HOUR).timestamp())
        assert service.get(f"/api/aggregated_stats?since={later}").status == 503

        stoppable_postgres.start()
        for path, expected in zip(paths, before, strict=True):
            answer = service.get(path)
            assert (answer.status, answer.json) == (200, expected), path
            assert "X-Data-As-Of" not in answer.headers
        assert service.get("/api/health").json["status"] == "ok"


def test_without_the_database_and_a_lake_a_window_that_memory_does_not_have_is_a_503(
    stoppable_postgres: StoppablePostgres,
    with_lake: dict[str, str],
) -> None:
    with RunningService(with_lake, ONE_WORKER) as service:
        assert service.get("/api/aggregated_stats").status == 200
        stoppable_postgres.stop()
        assert service.get("/api/aggregated_stats").status == 200
        assert service.get("/api/aggregated_stats?since=1").status == 503
        assert service.get(f"/api/raw_stats?orchestrator={ADDRESS}").status == 503
        assert service.get("/api/health").json["status"] == "degraded"


@pytest.mark.parametrize("told", [True, False], ids=["told of", "not told of"])
def test_a_service_that_has_not_seen_its_database_answers_from_a_lake_that_it_was(
    stoppable_postgres: StoppablePostgres,
    with_lake: dict[str, str],
    tmp_path: Path,
    told: bool,
) -> None:
    # the lake of a database that nobody told of may be another one's
    settings = with_lake if told else {"POSTGRES": stoppable_postgres.url, "DATA_DIR": str(tmp_path)}
    assert run_leaderboard("lake", "sync", **settings).returncode == 0
    stoppable_postgres.stop()
    with RunningService(settings) as service:
        answer = service.get(f"/api/raw_stats?orchestrator={ADDRESS}&since=1")
        assert answer.status == (200 if told else 503)
        assert not told or len(answer.json["FRA"]) == 10
        assert service.get("/api/health").json["status"] == ("degraded" if told else "down")
        stoppable_postgres.start()
        assert service.get("/api/health").json["status"] == "ok"


def test_what_memory_has_of_after_the_lake_is_in_the_answer(
    stoppable_postgres: StoppablePostgres,
    with_lake: dict[str, str],
) -> None:
    assert run_leaderboard("lake", "sync", **with_lake).returncode == 0
    with RunningService(with_lake, ONE_WORKER) as service:
        assert service.get("/api/aggregated_stats").status == 200
        assert service.post({"region": "LAX", "orchestrator": ADDRESS, "success_rate": 1}).status == 200
        assert "LAX" in service.get("/api/aggregated_stats").json[ADDRESS]
        stoppable_postgres.stop()
        answer = service.get("/api/aggregated_stats?since=1")
        assert set(answer.json[ADDRESS]) == {"FRA", "LAX"}
        assert datetime.now(UTC) - as_of(answer) < timedelta(minutes=1)


@pytest.mark.slow
def test_services_bring_their_lake_up_to_date_by_themselves(database: str, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    settings = {"POSTGRES": database, "LAKE_URL": str(lake), "LAKE_SYNC_INTERVAL": "0.1"}
    stores = Stores(database, lake)
    with RunningService(settings) as service, RunningService(settings):
        for number in range(1, 4):
            assert service.post({"region": "FRA", "orchestrator": ADDRESS}).status == 200
            deadline = time.monotonic() + 30
            while not lake.exists() or stores.events.lake() is None or stores.snapshot().watermark < number:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    assert stores.of_lake()["id"].to_list() == [1, 2, 3]
    stores.close()


@pytest.mark.slow
def test_without_an_interval_nothing_is_exported(database: str, tmp_path: Path) -> None:
    with RunningService({"POSTGRES": database, "LAKE_URL": str(tmp_path / "lake")}) as service:
        service.post({"region": "FRA", "orchestrator": ADDRESS})
        time.sleep(0.5)
    assert not (tmp_path / "lake").exists()
