"""A database that is silent, slow, refusing or wrong: what memory and the lake have is answered all the same."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from leaderboard.lake.sync import sync
from queries import PostgresEvents
from tests.conftest import clone
from tests.leaderboard.lake.conftest import ADDRESS, insert_events, no_progress
from tests.leaderboard.lake.test_faults import serving
from tests.support.faulty_database import FAULTS, FaultyDatabase
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
MOMENT_SECONDS = 20.0
"""What a busy machine needs for some requests. A request that waits for the database takes longer than this."""
SINCE = int((NOW - 8 * DAY).timestamp())
IN_MEMORY = ("/api/aggregated_stats", "/api/leaderboard", "/api/score_history", "/api/pipelines")
IN_LAKE = (f"/api/aggregated_stats?since={SINCE}", f"/api/raw_stats?orchestrator={ADDRESS}&since={SINCE}")


@pytest.fixture(scope="module")
def stored(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A database with an event on each of ten days, and its lake. Tests only read them."""
    url, lake = clone(server, template, "database_faults"), str(tmp_path_factory.mktemp("lake"))
    insert_events(url, *(NOW - days * DAY for days in range(10)))
    with closing(PostgresEvents(url)) as postgres:
        sync(postgres, lake, no_progress)
    return url, lake


def is_current(client: FlaskClient, path: str) -> bool:
    response = client.get(path)
    return response.status_code == 200 and "X-Data-As-Of" not in response.headers


def assert_answered_at_once(client: FlaskClient, *paths: str) -> None:
    began = time.monotonic()
    for path in paths:
        response = client.get(path)
        assert response.status_code == 200, (path, response.json)
        assert response.json
        assert "X-Data-As-Of" in response.headers, path
    assert time.monotonic() - began < MOMENT_SECONDS


@pytest.mark.parametrize("fault", FAULTS)
def test_memory_and_lake_answer_without_the_database(stored: tuple[str, str], tmp_path: Path, fault: str) -> None:
    url, lake = stored
    with FaultyDatabase(url) as database, serving(database.url, lake, tmp_path / "early") as early:
        for path in (*IN_MEMORY, *IN_LAKE):
            eventually(lambda path=path: is_current(early, path))
        database.fault = fault
        assert_answered_at_once(early, *IN_MEMORY, *IN_LAKE)
        with serving(database.url, lake, tmp_path / "late") as late:
            assert_answered_at_once(late, *IN_LAKE)
            database.fault = None
            for client in (early, late):
                for path in (*IN_MEMORY, *IN_LAKE):
                    eventually(lambda client=client, path=path: is_current(client, path))
