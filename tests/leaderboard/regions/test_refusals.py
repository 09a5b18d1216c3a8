"""A post of a region that takes no results: the sentence, and the count that an operator sees."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.postgres.pool import Database
from leaderboard.regions.refusals import MAX_LISTED_CODES, RefusedRegions, explain_refusal
from leaderboard.regions.refused_table import MAX_REFUSED_REGIONS, select_refused
from leaderboard.settings import Settings
from tests.conftest import rows
from tests.leaderboard.results.test_posting import AI_JOB, good
from tests.support.serving import post_signed
from tests.support.waiting import eventually

Post = Callable[..., Any]


@pytest.fixture
def pool(database: str) -> Iterator[Database]:
    with closing(Database(database, 20)) as pool:
        yield pool


def refused_in_health(client: FlaskClient) -> dict[tuple[str, str], int]:
    response = client.get("/api/health")
    assert (response.status_code, response.json["status"], response.json["posts"]["ok"]) == (200, "ok", True)
    found = response.json["posts"].get("refused_regions", [])
    assert all(region["first_at"] <= region["last_at"] and region["last_at"].endswith("Z") for region in found)
    return {(region["id"], region["type"]): region["posts"] for region in found}


def test_refusal_says_which_regions_are_registered_and_how_to_add_one(post: Post) -> None:
    assert post(good(region="jnb", **AI_JOB)).json["error"] == (
        "region 'jnb' is not registered for ai results; leaderboard regions add JNB NAME --job-type ai registers it, "
        "and so does AUTO_REGISTER_REGIONS=true; registered are FRA, GLOBAL, LAX, MDW, NYC, SEA"
    )


def test_refusal_of_a_retired_region_says_how_to_take_it_back(post: Post, database: str) -> None:
    rows(database, "UPDATE regions SET retired_at = now() WHERE name = 'FRA'")
    assert post(good(region="fra", **AI_JOB)).json["error"] == (
        "region 'fra' is retired and takes no more ai results; leaderboard regions add FRA NAME --job-type ai "
        "takes it back; registered are GLOBAL, LAX, MDW, NYC, SEA"
    )


def test_refusal_lists_some_of_many_regions() -> None:
    codes = [f"R{number:03}" for number in range(MAX_LISTED_CODES + 5)]
    sentence = explain_refusal("X", "ai", reversed(codes), is_retired=False)
    assert sentence.endswith(f"R000, {', '.join(codes[1:MAX_LISTED_CODES])} and 5 more")
    assert explain_refusal("X", "ai", [], is_retired=False).endswith("; registered are none")


def test_refused_posts_of_all_services_are_in_the_health_of_each(settings: Settings) -> None:
    apps = [create_app(settings) for _ in range(2)]
    clients = [app.test_client() for app in apps]
    for _ in range(3):
        for client in clients:
            assert post_signed(client, good(region="jnb")).status_code == 400
    assert post_signed(clients[0], b"[" + good(region="JNB", **AI_JOB) + b"]").status_code == 400
    # neither is a code that a region could have
    assert post_signed(clients[0], good(region="a b")).status_code == 400
    assert post_signed(clients[0], good(region=5)).status_code == 400
    for client in clients:
        eventually(lambda client=client: refused_in_health(client) == {("JNB", "ai"): 1, ("JNB", "transcoding"): 6})
    for app in apps:
        app.extensions["leaderboard"].close()


def test_refused_posts_are_stored_when_the_service_stops(post: Post, client: FlaskClient, database: str) -> None:
    assert post(good(region="JNB")).status_code == 400
    client.application.extensions["leaderboard"].close()
    assert rows(database, "SELECT name, job_type, posts FROM refused_regions") == [("JNB", "transcoding", 1)]


def test_region_that_takes_results_is_refused_no_more(post: Post, client: FlaskClient, database: str) -> None:
    post(good(region="JNB"))
    eventually(lambda: refused_in_health(client))
    rows(database, "INSERT INTO regions (name, display_name, job_type_id) VALUES ('Jnb', 'Johannesburg', 1)")
    assert refused_in_health(client) == {}
    rows(database, "UPDATE regions SET retired_at = now() WHERE name = 'Jnb'")
    assert refused_in_health(client) == {("JNB", "transcoding"): 1}


def test_refused_posts_of_long_ago_are_forgotten(pool: Database, database: str) -> None:
    rows(
        database,
        "INSERT INTO refused_regions "
        "SELECT 'R' || days, 'ai', 5, now() - interval '1 year', now() - days * interval '1 day' "
        "FROM generate_series(6, 8) days",
    )
    assert [region["id"] for region in pool.run(select_refused)] == ["R6"]
    refused = RefusedRegions(pool)
    refused.add("r6", "ai")
    refused.close()
    assert rows(database, "SELECT name, posts FROM refused_regions") == [("R6", 6)]


def test_the_number_of_refused_regions_is_bounded(pool: Database, database: str) -> None:
    for start in (0, MAX_REFUSED_REGIONS // 2):
        refused = RefusedRegions(pool)
        for number in range(MAX_REFUSED_REGIONS):
            refused.add(f"R{start + number}", "ai")
        refused.close()
    counts = dict(rows(database, "SELECT posts, count(*) FROM refused_regions GROUP BY 1"))
    assert counts == {1: MAX_REFUSED_REGIONS // 2, 2: MAX_REFUSED_REGIONS // 2}


def test_counts_wait_for_a_database_that_is_locked(pool: Database, database: str) -> None:
    refused = RefusedRegions(pool)
    with closing(psycopg2.connect(database)) as holder, holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE refused_regions")
        refused.add("JNB", "ai")
        eventually(lambda: rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted"))
        refused.add("JNB", "ai")
        eventually(lambda: not rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted"))
    eventually(lambda: [region["posts"] for region in refused.read(20)] == [2])
    refused.close()


def test_service_that_is_read_only_counts_in_its_log_alone(
    settings: Settings, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    rows(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    app = create_app(settings)
    assert post_signed(app.test_client(), good(region="JNB")).status_code == 400
    app.extensions["leaderboard"].close()
    assert "refused a post" in caplog.text
    assert "the count of refused regions" not in caplog.text


def test_service_that_stops_waits_for_counts_on_their_way(pool: Database, database: str) -> None:
    refused = RefusedRegions(pool)
    with ThreadPoolExecutor(1) as threads:
        with closing(psycopg2.connect(database)) as holder, holder, holder.cursor() as cursor:
            cursor.execute("LOCK TABLE refused_regions")
            refused.add("JNB", "ai")
            eventually(lambda: rows(database, "SELECT 1 FROM pg_locks WHERE NOT granted"))
            closed = threads.submit(refused.close)
            # nothing says that close waits; without waiting, it ends in this time
            done, _ = wait([closed], 0.2)
            assert not done
        closed.result()
    assert rows(database, "SELECT posts FROM refused_regions") == [(1,)]
