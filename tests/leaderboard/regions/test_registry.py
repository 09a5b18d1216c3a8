"""The list of regions, and the regions that the catalyst document adds to it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.postgres.pool import Database
from leaderboard.regions.region_table import insert_regions
from leaderboard.regions.registry import MAX_REREADS, RegionRegistry
from leaderboard.settings import Settings
from queries import TRANSCODING
from tests.conftest import SECRET, rows, sample
from tests.leaderboard.regions.conftest import CatalystServer
from tests.support.waiting import eventually

SEEDED = sample("regions-seed.json")
ADDED = [
    {"id": "JNB", "name": "Johannesburg", "type": "transcoding"},
    {"id": "BOM", "name": "Mumbai", "type": "transcoding"},
]
INSERT_REGION = "INSERT INTO regions (name, display_name, job_type_id) VALUES ('NEW', 'New', 1)"


@pytest.fixture
def settings(database: str, catalyst: CatalystServer) -> Settings:
    return Settings(lake_sync_interval=0, postgres=database, secret=SECRET, catalyst_region_url=catalyst.url)


@pytest.fixture
def pool(database: str) -> Iterator[Database]:
    with closing(Database(database, 20)) as pool:
        yield pool


def get_regions(client: FlaskClient) -> list[dict[str, str]]:
    response = client.get("/api/regions")
    assert response.status_code == 200
    return response.json["regions"]


def codes(registry: RegionRegistry) -> set[str]:
    return {region["id"] for region in registry.all().regions}


def test_new_regions_of_the_document_are_added_as_transcoding_regions(client: FlaskClient) -> None:
    regions = eventually(lambda: found if len(found := get_regions(client)) > len(SEEDED) else None)
    assert [region for region in regions if region not in ADDED] == SEEDED
    assert sorted(region["id"] for region in regions if region in ADDED) == ["BOM", "JNB"]


def test_list_is_cached_and_the_document_is_fetched_once(
    client: FlaskClient, catalyst: CatalystServer, database: str
) -> None:
    before = eventually(lambda: found if len(found := get_regions(client)) > len(SEEDED) else None)
    rows(database, INSERT_REGION)
    assert get_regions(client) == before
    assert catalyst.requests == 1


def test_list_is_read_again_when_it_has_expired(pool: Database, catalyst: CatalystServer, database: str) -> None:
    registry = RegionRegistry(pool, 0, catalyst.url)
    assert "NEW" not in codes(registry)
    rows(database, INSERT_REGION)
    assert "NEW" in codes(registry)
    assert eventually(lambda: catalyst.requests >= 2)


def test_callers_at_the_same_time_fetch_the_document_once(pool: Database, catalyst: CatalystServer) -> None:
    registry = RegionRegistry(pool, 60, catalyst.url)
    with ThreadPoolExecutor(8) as threads:
        lists = [future.result() for future in [threads.submit(registry.all) for _ in range(32)]]
    assert all(len(found.regions) in (28, 30) for found in lists)
    # nobody waits long for the document, which is read beside the requests
    assert eventually(lambda: len(registry.all().regions) == 30)
    assert catalyst.requests == 1


def test_result_of_a_region_that_only_the_document_has_is_stored(client: FlaskClient, post: Callable) -> None:
    assert post({"region": "JNB", "orchestrator": "0x" + "a" * 40}).status_code == 200


def test_services_that_add_the_same_regions_do_not_fail(
    settings: Settings, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    apps = [create_app(settings) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda app: app.test_client().get("/api/regions").status_code, apps))
    assert statuses == [200] * 4
    assert eventually(lambda: rows(database, "SELECT count(*) FROM regions") == [(30,)])
    assert "CATALYST_REGION_URL" not in caplog.text
    for app in apps:
        app.extensions["leaderboard"].close()


def test_ai_regions_of_the_document_are_added(
    client: FlaskClient, catalyst: CatalystServer, post: Callable[..., Any]
) -> None:
    catalyst.serve_document({"prod": {"full_name": {"fra": "Frankfurt"}, "ai": {"jnb": "Johannesburg"}}})
    result = {"region": "jnb", "orchestrator": "0x" + "a" * 40, "pipeline": "LLM", "model": "m"}
    assert post(result).status_code == 200
    added = [region for region in get_regions(client) if region not in SEEDED]
    assert added == [{"id": "JNB", "name": "Johannesburg", "type": "ai"}]


def test_document_does_not_bring_a_retired_region_back(
    client: FlaskClient, catalyst: CatalystServer, post: Callable[..., Any], database: str
) -> None:
    rows(database, "UPDATE regions SET retired_at = '2026-09-01 12:00+00' WHERE name = 'FRA'")
    catalyst.serve_document({"prod": {"full_name": {"fra": "Frankfurt", "jnb": "Johannesburg"}, "ai": {"fra": "F"}}})
    eventually(lambda: len(get_regions(client)) == len(SEEDED) + 1)
    result = {"region": "FRA", "orchestrator": "0x" + "a" * 40}
    assert [post(fields | result).status_code for fields in ({}, {"pipeline": "LLM", "model": "m"})] == [400, 400]
    assert [region for region in get_regions(client) if region["id"] == "FRA"] == [
        {"id": "FRA", "name": "Frankfurt", "type": job_type, "retired_at": "2026-09-01T12:00:00Z"}
        for job_type in ("transcoding", "ai")
    ]
    assert rows(database, "SELECT count(*) FROM regions WHERE name = 'FRA' AND retired_at IS NULL") == [(0,)]


def test_document_that_cannot_be_read_adds_nothing(
    client: FlaskClient, catalyst: CatalystServer, caplog: pytest.LogCaptureFixture
) -> None:
    catalyst.serve_body(b"{}", status=500)
    assert get_regions(client) == SEEDED
    eventually(lambda: "no regions are added from CATALYST_REGION_URL: 500" in caplog.text)


def test_document_without_regions_adds_nothing(client: FlaskClient, catalyst: CatalystServer) -> None:
    catalyst.serve_document({"prod": {"full_name": {}}})
    assert get_regions(client) == SEEDED


def test_unreachable_document_adds_nothing(client: FlaskClient, catalyst: CatalystServer) -> None:
    catalyst.close()
    assert get_regions(client) == SEEDED


def test_read_only_database_lists_its_own_regions(client: FlaskClient, database: str) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    rows(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    client.application.extensions["leaderboard"].close()
    assert get_regions(client) == SEEDED


class CountingDatabase(Database):
    """A pool that counts what it runs."""

    calls = 0

    def run(self, work: Callable[..., Any], timeout: float | None = None) -> Any:
        self.calls += 1
        return super().run(work, timeout)


def test_unknown_regions_have_the_table_read_a_few_times_only(database: str) -> None:
    with closing(CountingDatabase(database, 20)) as pool:
        registry = RegionRegistry(pool, 60)
        began = time.monotonic()
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda number: registry.find(f"X{number}", TRANSCODING, 5), range(300)))
        assert found == [None] * 300
        # one more each second
        assert 1 <= pool.calls <= MAX_REREADS + 1 + (time.monotonic() - began)


def test_region_that_another_process_registered_is_found(pool: Database, database: str) -> None:
    registry = RegionRegistry(pool, 60)
    for _ in range(20):
        assert registry.find("new", TRANSCODING, 5) is None
    rows(database, INSERT_REGION)
    assert eventually(lambda: registry.find("new", TRANSCODING, 5)) == "NEW"


def test_regions_are_known_in_an_outage_that_began_before_they_were_asked_for(
    client: FlaskClient, database: str, post: Callable[..., Any]
) -> None:
    with closing(psycopg2.connect(database)) as holder, holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE regions IN ACCESS EXCLUSIVE MODE")
        first = client.get("/api/regions")
        assert (first.status_code, first.json["regions"]) == (200, SEEDED)
        assert "X-Data-As-Of" in first.headers
        # nobody can tell whether this one is registered
        assert post({"region": "QQQ", "orchestrator": "0x" + "a" * 40}).status_code == 503
    eventually(lambda: "X-Data-As-Of" not in client.get("/api/regions").headers)


def test_processes_that_add_the_same_regions_at_once(database: str) -> None:
    names = {(f"R{number:03}", TRANSCODING): f"Region {number}" for number in range(200)}

    def add(number: int) -> None:
        items = sorted(names.items(), reverse=bool(number % 2))
        with closing(Database(database, 20)) as pool:
            pool.run(lambda cursor: insert_regions(cursor, dict(items)))

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(add, range(6))) == [None] * 6
    assert rows(database, "SELECT count(*) FROM regions WHERE name LIKE 'R___'") == [(200,)]


def test_list_does_not_ask_a_stalled_database_again_and_again(database: str) -> None:
    with closing(CountingDatabase(database, 20)) as pool:
        registry = RegionRegistry(pool, 0)
        registry.load()
        with closing(psycopg2.connect(database)) as holder, holder, holder.cursor() as cursor:
            cursor.execute("LOCK TABLE regions IN ACCESS EXCLUSIVE MODE")
            calls = pool.calls
            assert registry.all().as_of is not None
            assert [len(registry.all().regions) for _ in range(50)] == [28] * 50
            assert pool.calls - calls < 10
