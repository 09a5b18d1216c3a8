"""A result is stored under the region that it names, whatever became of the ids that regions had."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from flask.testing import FlaskClient

from leaderboard.postgres.migrations import migrate
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.results.validation import InvalidResult
from tests.conftest import clone, drop, rows
from tests.leaderboard.results.test_posting import ADDRESS, GOOD, good
from tests.support.waiting import eventually

Post = Callable[..., Any]
Store = Callable[[], int]
STORED = "SELECT region_name, payload->>'region', count(*) FROM event_details GROUP BY 1, 2 ORDER BY 1"
SWAP = """UPDATE regions SET name = 'tmp' WHERE name = 'FRA' AND job_type_id = 1;
    UPDATE regions SET name = 'FRA' WHERE name = 'NYC' AND job_type_id = 1;
    UPDATE regions SET name = 'NYC' WHERE name = 'tmp'"""
RECREATE = """DELETE FROM events; DELETE FROM regions;
    INSERT INTO regions (id, name, display_name, job_type_id)
    SELECT 100 - id, name, display_name, job_type_id FROM old_regions"""


@pytest.fixture(params=["alone", "in a batch", "in a frame"])
def store(request: pytest.FixtureRequest, post: Post, database: str) -> Iterator[Store]:
    """Stores a result of FRA, and returns the status of that."""
    with closing(Database(database, 20)) as pool:
        regions = RegionRegistry(pool, 60)

        def store_frame() -> int:
            row = {"event_time": datetime.now(UTC), "orchestrator": ADDRESS, "region": "FRA", "job_type": "transcoding"}
            try:
                writer.copy(pool, regions, pl.DataFrame([row | {"payload": '{"region": "FRA"}'}]))
            except InvalidResult:
                return 400
            return 200

        yield {
            "alone": lambda: post(good(region="fra")).status_code,
            "in a batch": lambda: post(b"[" + good(region="fra") + b"]").status_code,
            "in a frame": store_frame,
        }[request.param]


@pytest.mark.parametrize("change", [SWAP, RECREATE], ids=["renamed", "created again in another order"])
def test_result_goes_to_the_region_that_has_its_name_now(database: str, store: Store, change: str) -> None:
    rows(database, "CREATE TABLE old_regions AS SELECT * FROM regions")
    assert store() == 200
    rows(database, f"{change}; DELETE FROM events")
    assert store() == 200
    assert rows(database, STORED) == [("FRA", "FRA", 1)]


def test_result_of_a_region_that_is_gone_is_refused(post: Post, database: str, store: Store) -> None:
    assert store() == 200
    rows(database, "DELETE FROM events; UPDATE regions SET name = 'XYZ' WHERE name = 'FRA'")
    assert store() == 400
    assert rows(database, STORED) == []
    response = post(good(region="fra"))
    assert (response.status_code, "region 'fra' is not registered" in response.json["error"]) == (400, True)
    assert post(good(region="xyz")).status_code == 200
    assert rows(database, STORED) == [("XYZ", "XYZ", 1)]


def test_retired_region_takes_no_more_results_and_stays_in_scores(
    post: Post, client: FlaskClient, database: str, store: Store
) -> None:
    assert store() == 200
    rows(database, "UPDATE regions SET retired_at = now() WHERE name = 'FRA'")
    assert store() == 400
    response = post(good(region="fra"))
    assert response.status_code == 400
    assert response.json["error"].startswith("region 'fra' is retired and takes no more transcoding results; ")
    assert rows(database, STORED) == [("FRA", "FRA", 1)]
    assert list(client.get("/api/aggregated_stats").json[ADDRESS]) == ["FRA"]
    rows(database, "UPDATE regions SET retired_at = NULL WHERE name = 'FRA'")
    eventually(lambda: store() == 200)


def test_region_that_is_retired_during_a_batch_rolls_it_back(post: Post, database: str) -> None:
    assert post(good()).status_code == 200
    rows(
        database,
        """CREATE FUNCTION retire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               UPDATE regions SET retired_at = now() WHERE name = 'FRA' AND job_type_id = 1;
               RETURN NULL; END $$;
           CREATE TRIGGER retire BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION retire()""",
    )
    response = post(b"[" + good() + b"]")
    assert (response.status_code, "not registered" in response.json["error"]) == (400, True)
    assert rows(database, STORED) == [("FRA", "FRA", 1)]


def test_region_written_in_another_case_is_found_again(post: Post, database: str) -> None:
    assert post(good()).status_code == 200
    rows(database, "UPDATE regions SET name = 'Fra' WHERE name = 'FRA' AND job_type_id = 1")
    assert [post(good()).status_code, post(b"[" + good() + b"]").status_code] == [200, 200]
    assert rows(database, STORED) == [("Fra", "FRA", 3)]


def test_only_the_results_of_a_lost_region_are_refused(post: Post, database: str) -> None:
    assert [post(good(region=region)).status_code for region in ("FRA", "NYC")] == [200, 200]
    rows(database, "DELETE FROM events; DELETE FROM regions WHERE name = 'FRA'")
    assert [post(good(region=region)).status_code for region in ("NYC", "FRA", "NYC")] == [200, 400, 200]
    assert rows(database, STORED) == [("NYC", "NYC", 2)]


def test_regions_that_change_during_a_batch_roll_it_back(post: Post, database: str) -> None:
    assert post(good()).status_code == 200
    rows(
        database,
        """CREATE FUNCTION swap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               UPDATE regions SET name = 'FRA' || nextval('regions_id_seq') WHERE name LIKE 'FRA%' AND job_type_id = 1;
               RETURN NULL; END $$;
           CREATE TRIGGER swap BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION swap()""",
    )
    response = post(b"[" + good() + b"]")
    assert (response.status_code, "not registered" in response.json["error"]) == (400, True)
    assert rows(database, STORED) == [("FRA", "FRA", 1)]


def test_database_that_was_replaced_under_the_service(post: Post, database: str, server: str, template: str) -> None:
    assert post(good(region="FRA")).status_code == 200
    name = rows(database, "SELECT current_database()")[0][0]
    drop(server, name)
    clone(server, template, name)
    migrate(database, 20)
    rows(database, f"CREATE TABLE old_regions AS SELECT * FROM regions; {RECREATE}")
    # it may take the service a moment to trust the new database
    eventually(lambda: post(good(region="FRA")).status_code == 200)
    assert post(b"[" + good(region="FRA") + b"]").status_code == 200
    ((region, named, count),) = rows(database, STORED)
    assert (region, named) == ("FRA", "FRA")
    assert count >= 2
    assert rows(database, "SELECT payload FROM events LIMIT 1") == [(GOOD,)]
