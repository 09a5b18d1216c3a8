"""A database that is slow is a 504, one that is away a 503, and once it is back all is well by itself."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import psutil
import psycopg2
import pytest
from flask.testing import FlaskClient

from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.settings import Settings
from leaderboard.simulation.generator import Simulation
from queries import StoreTimeout
from tests.conftest import SECRET
from tests.support.postgres import StoppablePostgres
from tests.support.service import ONE_WORKER, RunningService

RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40}
ASKED = [
    "/api/aggregated_stats",
    "/api/raw_stats?orchestrator=0x1",
    "/api/score_history",
    "/api/leaderboard",
    f"/api/orchestrators/0x{'a' * 40}",
    "/api/top_ai_score?orchestrator=0x1",
    "/api/pipelines",
    "/api/regions",
]


def test_a_database_that_goes_away_is_a_503_until_it_is_back(stoppable_postgres: StoppablePostgres) -> None:
    settings = {"REGIONS_CACHE_TIMEOUT": "0", "PIPELINES_CACHE_TIMEOUT": "0"}
    with RunningService({"POSTGRES": stoppable_postgres.url} | settings, ONE_WORKER) as service:
        assert service.post(RESULT).status == 200
        assert [service.get(path).status for path in ASKED] == [200] * len(ASKED)

        stoppable_postgres.stop()
        # what neither memory nor a lake has
        lacking = ["/api/raw_stats?orchestrator=0x1", f"/api/orchestrators/0x{'a' * 40}"]
        held = [path for path in ASKED if path not in lacking]
        assert [service.get(path).status for path in held] == [200] * (len(ASKED) - 2)
        refused = [service.get(path) for path in (*lacking, "/api/aggregated_stats?since=1")]
        for answer in (service.post(RESULT), *refused):
            assert answer.status == 503
            assert answer.json == {"error": "the database is not available, try again later"}
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        health = service.get("/api/health")
        assert health.status == 503
        assert health.json == {
            "status": "degraded",
            "postgres": {"ok": False, "error": "the database is not available"},
        }
        assert health.headers["Cache-Control"] == "no-store"

        stoppable_postgres.start()
        assert [service.get(path).status for path in (*ASKED, "/api/health")] == [200] * (len(ASKED) + 1)
        assert service.post(RESULT).status == 200


def test_a_service_that_starts_before_its_database_serves_once_that_is_there(
    stoppable_postgres: StoppablePostgres,
) -> None:
    stoppable_postgres.stop()
    with RunningService({"POSTGRES": stoppable_postgres.url}) as service:
        assert service.get("/api/health").status == 503
        assert service.get("/api/regions").status == 503
        # what needs no database is answered as ever
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


def test_a_worker_that_dies_while_the_database_is_away_does_not_end_the_service(
    stoppable_postgres: StoppablePostgres,
) -> None:
    with RunningService({"POSTGRES": stoppable_postgres.url}) as service:
        stoppable_postgres.stop()
        for worker in psutil.Process(service.process.pid).children():
            worker.kill()
        time.sleep(1)
        service.wait_until_ready()
        assert service.get("/api/regions").status == 503
        stoppable_postgres.start()
        assert service.get("/api/regions").status == 200


def test_a_database_that_falls_silent_is_a_504_and_then_away(stoppable_postgres: StoppablePostgres) -> None:
    settings = {"DB_TIMEOUT": "1", "REGIONS_CACHE_TIMEOUT": "0", "PIPELINES_CACHE_TIMEOUT": "0"}
    with RunningService({"POSTGRES": stoppable_postgres.url} | settings, ONE_WORKER) as service:
        assert service.post(RESULT).status == 200
        before = service.get("/api/aggregated_stats")
        assert before.status == 200
        with stoppable_postgres.frozen():
            # somebody had a connection, and waited for what was asked over it
            for answer in (service.post(RESULT), service.get("/api/aggregated_stats"), service.get(ASKED[1])):
                assert answer.status == 504
                assert "error" in answer.json
                assert answer.headers["Cache-Control"] == "no-store"
            # nobody gets another one
            answer = service.get("/api/aggregated_stats")
            assert (answer.status, answer.json) == (200, before.json)
            assert "X-Data-As-Of" in answer.headers
            assert service.post(RESULT).status == 503
            for answer in map(service.get, ASKED):
                if answer.status == 200:
                    assert "X-Data-As-Of" in answer.headers
                else:
                    assert answer.status in (503, 504)
                    assert "error" in answer.json
                    assert answer.headers["Cache-Control"] == "no-store"
            health = service.get("/api/health")
            assert (health.status, health.json["status"]) == (503, "degraded")
        for ask in (*(partial(service.get, path) for path in (*ASKED, "/api/health")), partial(service.post, RESULT)):
            deadline = time.monotonic() + 60
            while (answer := ask()).status != 200 or "X-Data-As-Of" in answer.headers:
                assert time.monotonic() < deadline
                time.sleep(0.05)


class TestASlowStatement:
    @pytest.fixture
    def settings(self, database: str) -> Settings:
        return Settings(postgres=database, secret=SECRET, db_timeout=0.3)

    @pytest.fixture
    def slow(self, database: str, client: FlaskClient) -> Iterator[None]:
        # the app is there before, as it migrates the database
        assert client is not None
        connection = psycopg2.connect(database)
        with connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events, regions")
            yield
        connection.close()

    @pytest.mark.usefixtures("slow")
    @pytest.mark.parametrize("path", ASKED)
    def test_a_read_is_a_504_and_not_part_of_an_answer(self, client: FlaskClient, path: str) -> None:
        response = client.get(path)
        assert response.status_code == 504
        assert list(response.json) == ["error"]
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.usefixtures("slow")
    def test_a_copy_is_told_as_too_slow(self, database: str) -> None:
        store = Database(database, 0.3)
        until = datetime(2026, 1, 1, tzinfo=UTC)
        frame = next(Simulation(10, until - timedelta(days=1), until).frames())
        with pytest.raises(StoreTimeout):
            writer.copy(store, RegionRegistry(store, 0), frame)
        store.close()

    @pytest.mark.usefixtures("slow")
    def test_a_post_is_a_504_and_not_ok(self, post: object) -> None:
        assert post(RESULT).status_code == 504


@pytest.mark.slow
def test_a_request_in_flight_is_answered_before_a_stop(database: str) -> None:
    with RunningService({"POSTGRES": database}) as service:
        answers: list[int] = []
        with psycopg2.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events")
            asking = threading.Thread(target=lambda: answers.append(service.get("/api/aggregated_stats").status))
            asking.start()
            time.sleep(1)
            service.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                service.process.wait(1)
        connection.close()
        asking.join(60)
        assert answers == [200]
        assert service.process.wait(60) == 0
