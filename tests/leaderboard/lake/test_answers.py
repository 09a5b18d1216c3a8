"""Responses do not depend on the lake, however far it lags, and continue during an outage of the database."""

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.lake.background import BackgroundSync
from leaderboard.lake.prune import Pruning
from leaderboard.lake.sync import Rewrite
from leaderboard.settings import Settings
from queries import LakeEvents
from tests.conftest import conformance, load_events
from tests.leaderboard.lake.conftest import ADDRESS, Stores, insert_events, no_progress
from tests.leaderboard.web.test_conformance import RECORDED, assert_covers, is_of_formula_1_only
from tests.support.commands import run_leaderboard
from tests.support.postgres import StoppablePostgres
from tests.support.service import ONE_WORKER, RunningService
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

EVENTS = conformance("events")["events"]
CASES = [
    case | {"query": case["query"] | {"formula": 1}} if is_of_formula_1_only(case) else case
    for case in RECORDED["cases"]
    if case["status"] == 200 and case["path"] != "/api/regions"
]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def lag(stores: Stores, exported: int) -> None:
    """Loads the conformance set, of which the lake has the first ``exported`` events."""
    load_events(stores.url, EVENTS[:exported])
    stores.sync()
    load_events(stores.url, EVENTS[exported:])


def prune_half(stores: Stores) -> None:
    load_events(stores.url, EVENTS)
    stores.sync()
    middle = datetime.fromtimestamp((EVENTS[0][0] + EVENTS[-1][0]) / 2, UTC)
    midnight = middle.replace(hour=0, minute=0, second=0, microsecond=0)
    pruning = Pruning(stores.url, stores.postgres, stores.snapshot(), midnight, 20)
    assert pruning.prepare(no_progress) > 500
    assert sum(pruning.delete_batches()) > 500


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


def create_service(stores: Stores, live_memory_mib: int) -> Flask:
    return create_app(
        Settings(
            lake_sync_interval=0,
            postgres=stores.url,
            lake_url=stores.lake,
            live_memory_mib=live_memory_mib,
            start_time_window=RECORDED["start_time_window_hours"],
            cache_type="NullCache",
        )
    )


def lake_reaches(stores: Stores, id_: int) -> bool:
    lake = LakeEvents(stores.lake).snapshot()
    return lake is not None and lake.watermark >= id_


def assert_recorded(client: FlaskClient, case: dict[str, Any]) -> None:
    response = client.get(case["path"], query_string=case["query"])
    assert response.status_code == 200
    assert "X-Data-As-Of" not in response.headers
    assert_covers(response.json, case["body"], f"{case['path']}?{case['query']}")


@pytest.mark.parametrize("prepare", STATES.values(), ids=STATES.keys())
def test_recorded_responses_do_not_depend_on_the_lake(stores: Stores, prepare: Callable[[Stores], None]) -> None:
    prepare(stores)
    app = create_service(stores, 512)
    try:
        for case in CASES:
            assert_recorded(app.test_client(), case)
    finally:
        app.extensions["leaderboard"].close()


def test_recorded_responses_do_not_change_while_the_lake_is_rewritten(stores: Stores) -> None:
    prune_half(stores)
    app, done, syncs = create_service(stores, 1), threading.Event(), []

    def rewrite_repeatedly() -> None:
        while not done.is_set():
            syncs.append(stores.sync(Rewrite.ALL))

    syncing = threading.Thread(target=rewrite_repeatedly)
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
def outage_settings(stoppable_postgres: StoppablePostgres, tmp_path: Path) -> dict[str, str]:
    """The settings of a service over a database that the test may stop, with events of ten days."""
    settings = {
        "POSTGRES": stoppable_postgres.url,
        "LAKE_URL": str(tmp_path / "lake"),
        "REGIONS_CACHE_TIMEOUT": "0",
        "PIPELINES_CACHE_TIMEOUT": "0",
    }
    now = datetime.now(UTC)
    insert_events(stoppable_postgres.url, *(now - days * DAY - HOUR for days in range(10)))
    return settings


def as_of(answer: Any) -> datetime:
    return datetime.fromisoformat(answer.headers["X-Data-As-Of"])


def test_outage_is_bridged_by_memory_and_lake_with_data_as_of(
    stoppable_postgres: StoppablePostgres,
    outage_settings: dict[str, str],
) -> None:
    assert run_leaderboard("lake", "sync", **outage_settings).returncode == 0
    synced = datetime.now(UTC)
    week = int((synced - 7 * DAY).timestamp())
    with RunningService(outage_settings, ONE_WORKER) as service:
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
        # only the lake has results
        assert as_of(service.get(paths[2])) < synced
        assert as_of(service.get(paths[-1])) < synced
        assert service.post({"region": "FRA", "orchestrator": ADDRESS}).status == 503
        health = service.get("/api/health")
        assert (health.status, health.json["status"]) == (200, "degraded")
        # no source has a window in the future
        later = int((datetime.now(UTC) + HOUR).timestamp())
        assert service.get(f"/api/aggregated_stats?since={later}").status == 503

        stoppable_postgres.start()
        # for a few seconds the regions are not read again
        eventually(lambda: "X-Data-As-Of" not in service.get("/api/regions").headers)
        for path, expected in zip(paths, before, strict=True):
            answer = service.get(path)
            assert (answer.status, answer.json) == (200, expected), path
            assert "X-Data-As-Of" not in answer.headers
        assert service.get("/api/health").json["status"] == "ok"


def test_outage_without_a_lake_returns_503_outside_of_memory(
    stoppable_postgres: StoppablePostgres,
    outage_settings: dict[str, str],
) -> None:
    with RunningService(outage_settings, ONE_WORKER) as service:
        assert service.get("/api/aggregated_stats").status == 200
        stoppable_postgres.stop()
        assert service.get("/api/aggregated_stats").status == 200
        assert service.get("/api/aggregated_stats?since=1").status == 503
        assert service.get(f"/api/raw_stats?orchestrator={ADDRESS}").status == 503
        assert service.get("/api/health").json["status"] == "degraded"


@pytest.mark.parametrize("place", ["named", "own", "older"])
def test_service_started_during_an_outage_reads_only_a_lake_that_is_known_to_be_its_own(
    stoppable_postgres: StoppablePostgres,
    outage_settings: dict[str, str],
    tmp_path: Path,
    place: str,
) -> None:
    own = {"POSTGRES": stoppable_postgres.url, "DATA_DIR": str(tmp_path)}
    assert run_leaderboard("lake", "sync", **(own if place == "own" else outage_settings)).returncode == 0
    stoppable_postgres.stop()
    # an older release may have made the lake for another database
    knows = place != "older"
    with RunningService(outage_settings if place == "named" else own) as service:
        answer = service.get(f"/api/raw_stats?orchestrator={ADDRESS}&since=1")
        assert answer.status == (200 if knows else 503)
        assert not knows or len(answer.json["FRA"]) == 10
        assert service.get("/api/health").json["status"] == ("degraded" if knows else "down")
        stoppable_postgres.start()
        assert service.get("/api/health").json["status"] == "ok"


def test_outage_window_joins_lake_and_memory(
    stoppable_postgres: StoppablePostgres,
    outage_settings: dict[str, str],
) -> None:
    assert run_leaderboard("lake", "sync", **outage_settings).returncode == 0
    with RunningService(outage_settings, ONE_WORKER) as service:
        assert service.get("/api/aggregated_stats").status == 200
        assert service.post({"region": "LAX", "orchestrator": ADDRESS, "success_rate": 1}).status == 200
        assert "LAX" in service.get("/api/aggregated_stats").json[ADDRESS]
        stoppable_postgres.stop()
        answer = service.get("/api/aggregated_stats?since=1")
        assert set(answer.json[ADDRESS]) == {"FRA", "LAX"}
        assert datetime.now(UTC) - as_of(answer) < timedelta(minutes=1)


def test_services_sync_their_lake_in_the_background(database: str, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    settings = {"POSTGRES": database, "LAKE_URL": str(lake), "LAKE_SYNC_INTERVAL": "0.1"}
    stores = Stores(database, lake)
    with RunningService(settings) as service, RunningService(settings):
        for number in range(1, 4):
            assert service.post({"region": "FRA", "orchestrator": ADDRESS}).status == 200
            eventually(partial(lake_reaches, stores, number))
    assert stores.lake_events()["id"].to_list() == [1, 2, 3]
    stores.close()


@pytest.mark.parametrize("interval", [0.0, 0.05])
def test_background_sync_runs_only_with_an_interval(database: str, tmp_path: Path, interval: float) -> None:
    lake = str(tmp_path / "lake")
    threads_before = set(threading.enumerate())
    with closing(BackgroundSync(database, lake, interval, 20)) as background:
        background.start()
        started = [thread.name for thread in set(threading.enumerate()) - threads_before]
        assert ("lake-sync" in started) == bool(interval)
        if interval:
            eventually(lambda: LakeEvents(lake).snapshot() is not None)
