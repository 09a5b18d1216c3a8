"""A statement that takes longer than DB_TIMEOUT is a 504, and a post that meets one a 503."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.settings import Settings
from leaderboard.simulation.generator import Simulation
from queries import StoreTimeout
from tests.support.endpoints import OUTAGE_PATHS, RESULT
from tests.support.service import SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("locked_tables")

TIMEOUT_SECONDS = 0.3
REGIONS = "/api/regions"
ANSWERED_FROM_MEMORY = {REGIONS, "/api/exclusions", "/api/top_ai_score?orchestrator=0x1"}
"""Memory may hold the last day by the time of the lock. The others are asked for older events, which it never holds."""


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(lake_sync_interval=0, postgres=database, secret=SECRET, db_timeout=TIMEOUT_SECONDS)


@pytest.fixture
def locked_tables(database: str, client: FlaskClient) -> Iterator[None]:
    # the app, which migrates the database, must exist before the lock
    assert client is not None
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE events, regions")
        yield
    connection.close()


@pytest.mark.parametrize("path", sorted({*OUTAGE_PATHS} - ANSWERED_FROM_MEMORY))
def test_slow_read_is_a_504_and_no_part_of_a_response(client: FlaskClient, path: str) -> None:
    def answer() -> TestResponse | None:
        response = client.get(f"{path}{'&' if '?' in path else '?'}since=2020-01-01")
        # on a busy machine, to connect may take longer than the limit
        return None if response.status_code == 503 else response

    response = eventually(answer)
    assert response.status_code == 504
    assert list(response.json) == ["error"]
    assert response.headers["Cache-Control"] == "no-store"


def test_slow_copy_raises_a_timeout(database: str) -> None:
    store = Database(database, TIMEOUT_SECONDS)
    until = datetime(2026, 1, 1, tzinfo=UTC)
    frame = next(Simulation(10, until - timedelta(days=1), until).frames())
    with pytest.raises(StoreTimeout):
        writer.copy(store, RegionRegistry(store, 0), frame)
    store.close()


def test_regions_come_from_memory(client: FlaskClient) -> None:
    response = client.get(REGIONS)
    assert (response.status_code, len(response.json["regions"])) == (200, 28)
    assert "X-Data-As-Of" in response.headers


def test_post_that_is_certainly_not_stored_is_a_503(post: Callable[..., Any]) -> None:
    response = post(RESULT)
    assert (response.status_code, int(response.headers["Retry-After"]) > 0) == (503, True)
