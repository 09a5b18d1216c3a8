"""Outages of the database: errors meanwhile, and recovery without help."""

import signal
import subprocess
import threading
from collections.abc import Callable
from functools import partial

import psutil
import psycopg2
import pytest

from tests.conftest import rows
from tests.support.endpoints import OUTAGE_PATHS, RESULT
from tests.support.postgres import StoppablePostgres
from tests.support.service import ONE_WORKER, HttpResponse, RunningService
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

NO_CACHE = {"REGIONS_CACHE_TIMEOUT": "0", "PIPELINES_CACHE_TIMEOUT": "0"}
WITHOUT_MEMORY = (
    "/api/raw_stats?orchestrator=0x1",
    f"/api/orchestrators/0x{'a' * 40}",
    f"/api/orchestrators/0x{'a' * 40}/explanation",
)
"""What is never in memory and needs the database or a lake."""


def assert_is_error(response: HttpResponse, *statuses: int) -> None:
    assert response.status in statuses
    assert list(response.json) == ["error"]
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_stopped_database_is_a_503_until_it_is_back(stoppable_postgres: StoppablePostgres) -> None:
    with RunningService({"POSTGRES": stoppable_postgres.url} | NO_CACHE, ONE_WORKER) as service:
        assert service.post(RESULT).status == 200
        assert [service.get(path).status for path in OUTAGE_PATHS] == [200] * len(OUTAGE_PATHS)

        stoppable_postgres.stop()
        in_memory = [path for path in OUTAGE_PATHS if path not in WITHOUT_MEMORY]
        assert [service.get(path).status for path in in_memory] == [200] * (len(OUTAGE_PATHS) - len(WITHOUT_MEMORY))
        refused = [service.get(path) for path in (*WITHOUT_MEMORY, "/api/aggregated_stats?since=1")]
        for response in (service.post(RESULT), *refused):
            assert_is_error(response, 503)
            assert response.json == {"error": "the database is not available, try again later"}
            assert int(response.headers["Retry-After"]) > 0
        health = service.get("/api/health")
        # answers still come, so a probe must not take the instance out
        assert health.status == 200
        unavailable = {"ok": False, "error": "the database is not available"}
        assert health.json == {"status": "degraded", "postgres": unavailable, "posts": unavailable}
        assert health.headers["Cache-Control"] == "no-store"

        stoppable_postgres.start()
        paths = (*OUTAGE_PATHS, "/api/health")
        assert [service.get(path).status for path in paths] == [200] * len(paths)
        assert service.post(RESULT).status == 200


def test_service_that_starts_before_its_database_serves_later(stoppable_postgres: StoppablePostgres) -> None:
    stoppable_postgres.stop()
    with RunningService({"POSTGRES": stoppable_postgres.url}) as service:
        assert service.get("/api/health").status == 503
        assert service.get("/api/regions").status == 503
        # these need no database
        for method, path, status in (
            ("OPTIONS", "/api/post_stats", 200),
            ("GET", "/api/nothing", 404),
            ("GET", "/api/post_stats", 405),
            ("GET", "/api/aggregated_stats?since=x", 400),
            ("POST", "/api/post_stats", 403),
        ):
            assert service.request(method, path, b"", {}).status == status
        stoppable_postgres.start()
        assert service.get("/api/health").status == 200
        assert service.post(RESULT).status == 200


def test_worker_that_dies_during_an_outage_is_replaced(stoppable_postgres: StoppablePostgres) -> None:
    with RunningService({"POSTGRES": stoppable_postgres.url}) as service:
        master = psutil.Process(service.process.pid)
        stoppable_postgres.stop()
        killed = {worker.pid for worker in master.children()}
        for pid in killed:
            psutil.Process(pid).kill()
        eventually(lambda: len({worker.pid for worker in master.children()} - killed) == len(killed))
        service.wait_until_ready()
        assert service.get("/api/regions").status == 503
        stoppable_postgres.start()
        assert service.get("/api/regions").status == 200


def test_frozen_database_leaves_what_memory_has(stoppable_postgres: StoppablePostgres) -> None:
    settings = {"POSTGRES": stoppable_postgres.url, "DB_TIMEOUT": "1"} | NO_CACHE
    with RunningService(settings, ONE_WORKER) as service:
        assert service.post(RESULT).status == 200
        before = service.get("/api/aggregated_stats")
        assert before.status == 200
        with stoppable_postgres.frozen():
            # these wait for a response over connections that they have
            assert_is_error(service.get(WITHOUT_MEMORY[0]), 503, 504)
            # its commit was never sent, so it is certainly not stored
            assert_is_error(service.post(RESULT), 503)
            response = service.get("/api/aggregated_stats")
            assert (response.status, response.json) == (200, before.json)
            assert "X-Data-As-Of" in response.headers
            assert_is_error(service.post(RESULT), 503, 504)
            for response in map(service.get, OUTAGE_PATHS):
                if response.status == 200:
                    assert "X-Data-As-Of" in response.headers
                else:
                    assert_is_error(response, 503, 504)
            health = service.get("/api/health")
            assert (health.status, health.json["status"]) == (200, "degraded")
        for path in (*OUTAGE_PATHS, "/api/health"):
            eventually(partial(is_current, partial(service.get, path)))
        eventually(partial(is_current, partial(service.post, RESULT)))


def is_current(send: Callable[[], HttpResponse]) -> bool:
    response = send()
    return response.status == 200 and "X-Data-As-Of" not in response.headers


def test_request_in_flight_is_answered_before_the_service_stops(database: str) -> None:
    with RunningService({"POSTGRES": database}) as service:
        statuses: list[int] = []
        with psycopg2.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events")
            request = threading.Thread(target=lambda: statuses.append(service.get("/api/aggregated_stats").status))
            request.start()
            eventually(lambda: rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted"))
            service.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                service.process.wait(1)
        connection.close()
        request.join(60)
        assert statuses == [200]
        assert service.process.wait(60) == 0
