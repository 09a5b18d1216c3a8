"""AUTO_REGISTER_REGIONS: a signed result registers its region."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import SECRET, rows
from tests.leaderboard.results.test_posting import AI_JOB, good
from tests.support.serving import post_signed
from tests.support.waiting import eventually

Post = Callable[..., Any]
ADDED = "SELECT r.name, display_name, j.name FROM regions r JOIN job_types j ON j.id = job_type_id WHERE r.id > 28"
STORED = "SELECT region_name, job_type_name, count(*) FROM event_details GROUP BY 1, 2 ORDER BY 1, 2"


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(lake_sync_interval=0, postgres=database, secret=SECRET, auto_register_regions=True)


def batch(*results: bytes) -> bytes:
    return b"[" + b",".join(results) + b"]"


@pytest.mark.parametrize(("fields", "job_type"), [({}, "transcoding"), (AI_JOB, "ai")])
@pytest.mark.parametrize("wrap", [bytes, batch], ids=["alone", "in a batch"])
def test_result_registers_its_region_for_its_job_type(
    post: Post,
    client: FlaskClient,
    database: str,
    wrap: Callable[[bytes], bytes],
    fields: dict[str, str],
    job_type: str,
) -> None:
    assert post(wrap(good(region="jnb", **fields))).status_code == 200
    assert rows(database, ADDED) == [("JNB", "JNB", job_type)]
    assert rows(database, STORED) == [("JNB", job_type, 1)]
    assert client.get("/api/regions").json["regions"][-1] == {"id": "JNB", "name": "JNB", "type": job_type}


@pytest.mark.parametrize("code", ["", "a b", "é", "ß", "x" * 57, "-x", "a.b", "x\n", "\u0661"])
def test_region_without_a_proper_code_is_refused(post: Post, database: str, code: str) -> None:
    for body in (good(region=code), batch(good(region=code))):
        response = post(body)
        assert response.status_code == 400
        assert "a code has 1 to 56 letters, digits, - and _" in response.json["error"]
    assert rows(database, ADDED) == []


def test_code_of_the_maximum_length_is_registered(post: Post, database: str) -> None:
    code = "A-b_9" + "x" * 51
    assert post(good(region=code)).status_code == 200
    assert rows(database, ADDED) == [(code.upper(), code.upper(), "transcoding")]


def test_retired_region_is_not_registered_again(post: Post, database: str) -> None:
    rows(database, "UPDATE regions SET retired_at = now() WHERE name = 'LON'")
    assert "is retired" in post(good(region="LON")).json["error"]
    assert post(good(region="LON", **AI_JOB)).status_code == 200
    assert rows(database, ADDED) == [("LON", "LON", "ai")]
    assert rows(database, "SELECT count(*) FROM regions WHERE name = 'LON' AND retired_at IS NULL") == [(1,)]


def test_region_written_in_another_case_is_not_registered_again(post: Post, database: str) -> None:
    rows(database, "UPDATE regions SET name = 'Lon' WHERE name = 'LON'")
    assert post(good(region="LON")).status_code == 200
    assert rows(database, ADDED) == []


def test_unsigned_or_invalid_result_registers_nothing(post: Post, client: FlaskClient, database: str) -> None:
    assert client.post("/api/post_stats", data=good(region="JNB"), headers={"Authorization": "x"}).status_code == 403
    assert post(good(region="JNB", success_rate=-1)).status_code == 400
    assert post(batch(good(region="JNB"), good(success_rate=-1))).status_code == 400
    assert rows(database, ADDED) == []


def test_batch_of_many_new_regions_is_stored(post: Post, database: str) -> None:
    results = [good(region=f"R{number % 50}") for number in range(200)]
    assert post(batch(*results)).status_code == 200
    assert rows(database, "SELECT count(*), min(count), max(count) FROM (" + STORED + ") stored") == [(50, 4, 4)]


def test_refused_result_of_a_batch_is_named(post: Post) -> None:
    error = post(batch(good(), good(region="JNB"), good(region="a b"))).json["error"]
    assert error.startswith("results[2]: region 'a b' is not registered")


def test_services_that_register_the_same_regions_at_once(settings: Settings, database: str) -> None:
    apps = [create_app(settings) for _ in range(3)]

    def post_to(number: int) -> int:
        client = apps[number % 3].test_client()
        results = [good(region=f"N{(number + offset) % 7}") for offset in range(4)]
        return post_signed(client, batch(*results) if number % 2 else results[0]).status_code

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(post_to, range(84))) == [200] * 84
    assert rows(database, ADDED + " ORDER BY 1") == [(f"N{number}", f"N{number}", "transcoding") for number in range(7)]
    assert rows(database, "SELECT count(*) FROM events") == [(42 + 42 * 4,)]
    for app in apps:
        app.extensions["leaderboard"].close()


def test_region_that_cannot_be_registered_now_is_unavailable(post: Post, database: str) -> None:
    rows(
        database,
        """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
           CREATE TRIGGER full_disk BEFORE INSERT ON regions FOR EACH ROW EXECUTE FUNCTION full_disk()""",
    )
    response = post(good(region="JNB"))
    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert post(good()).status_code == 200
    rows(database, "DROP TRIGGER full_disk ON regions")
    eventually(lambda: post(good(region="JNB")).status_code == 200)


def test_registration_whose_commit_nobody_confirms_is_not_a_result_that_may_be_stored(
    post: Post, database: str
) -> None:
    rows(
        database,
        """CREATE FUNCTION end_connection() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
           CREATE CONSTRAINT TRIGGER end_connection AFTER INSERT ON regions DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION end_connection()""",
    )
    assert post(good(region="JNB")).status_code == 503
    assert rows(database, "SELECT count(*) FROM events") == [(0,)]
