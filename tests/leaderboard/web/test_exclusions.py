"""Exclusions over HTTP: the list of them, and scores without what they cover."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from leaderboard.exclusions.exclusion_table import insert_exclusion, remove_exclusion
from leaderboard.services import Service
from queries import Exclusion
from queries.times import TimeRange
from tests.conftest import load_events

ADDRESS = "0x" + "a" * 40
DAY = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC)
NOON = int(DAY[0].timestamp()) + 43_200
WHOLE_TIME = TimeRange(datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
BEFORE = TimeRange(WHOLE_TIME.since, datetime(2026, 8, 31, tzinfo=UTC))


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    good = {"success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
    bad = good | {"success_rate": 0}
    load_events(
        database,
        [
            [NOON - 86_400, ADDRESS, "FRA", "transcoding", good],
            [NOON, ADDRESS, "FRA", "transcoding", bad],
            [NOON, ADDRESS, "MDW", "transcoding", bad],
        ],
    )


@pytest.fixture
def service(app: Flask) -> Service:
    return app.extensions["leaderboard"]


def add(service: Service, region: str, job_type: str | None = None) -> int:
    exclusion = Exclusion(region, job_type, *DAY, "the tester's disk was full")
    id_ = service.database.run(lambda cursor: insert_exclusion(cursor, exclusion, "Ann"))
    service.exclusions.load()
    return id_


def remove(service: Service, id_: int) -> None:
    service.database.run(lambda cursor: remove_exclusion(cursor, id_, "Bob"))
    service.exclusions.load()


def answer(app: Flask, time_range: TimeRange, formula: int = 2) -> TestResponse:
    """The scores of a window."""
    since, until = (moment.isoformat() for moment in time_range)
    query = {"since": since, "until": until, "formula": formula}
    return app.test_client().get("/api/aggregated_stats", query_string=query)


def success_rates(response: TestResponse) -> dict[str, float]:
    return {region: scores["success_rate"] for region, scores in response.json[ADDRESS].items()}


def test_excluded_results_are_in_no_score_until_the_exclusion_is_removed(app: Flask, service: Service) -> None:
    before = answer(app, WHOLE_TIME)
    assert success_rates(before) == {"FRA": 0.5, "MDW": 0.0}
    assert "X-Exclusions" not in before.headers
    first = add(service, "FRA")
    add(service, "MDW", "ai")
    during = answer(app, WHOLE_TIME)
    assert success_rates(during) == {"FRA": 1.0, "MDW": 0.0}
    assert during.headers["X-Exclusions"] == "2"
    assert during.headers["ETag"] != before.headers["ETag"]
    remove(service, first)
    after = answer(app, WHOLE_TIME)
    assert after.json == before.json
    assert after.headers["X-Exclusions"] == "1"


WINDOW = f"since={int(WHOLE_TIME.since.timestamp())}&until={int(WHOLE_TIME.until.timestamp())}"


@pytest.mark.parametrize(
    "path",
    [
        f"/api/aggregated_stats?{WINDOW}",
        f"/api/leaderboard?{WINDOW}",
        f"/api/score_history?{WINDOW}",
        f"/api/orchestrators/{ADDRESS}?{WINDOW}",
        f"/api/discovery?{WINDOW}",
        f"/api/aggregated_stats?{WINDOW}&format=csv",
    ],
)
def test_every_answer_with_scores_says_what_it_leaves_out(client: FlaskClient, service: Service, path: str) -> None:
    assert "X-Exclusions" not in client.get(path).headers
    add(service, "FRA")
    response = client.get(path)
    assert (response.status_code, response.headers["X-Exclusions"]) == (200, "1")
    again = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.headers["X-Exclusions"]) == (304, "1")
    assert "X-Exclusions" not in client.get(f"{path}&formula=1").headers


def test_formula_1_counts_all_and_says_nothing(app: Flask, service: Service) -> None:
    add(service, "FRA")
    response = answer(app, WHOLE_TIME, 1)
    assert success_rates(response) == {"FRA": 0.5, "MDW": 0.0}
    assert "X-Exclusions" not in response.headers


def test_window_without_excluded_time_says_nothing(app: Flask, service: Service) -> None:
    before = answer(app, BEFORE)
    add(service, "FRA")
    after = answer(app, BEFORE)
    assert "X-Exclusions" not in after.headers
    assert after.headers["ETag"] == before.headers["ETag"]


def test_pages_of_other_origins_may_read_the_header(client: FlaskClient) -> None:
    assert "X-Exclusions" in client.get("/api/regions").headers["Access-Control-Expose-Headers"].split(", ")


def test_list_has_who_and_when(client: FlaskClient, service: Service) -> None:
    assert client.get("/api/exclusions").json == {"exclusions": []}
    first, second = add(service, "FRA"), add(service, "MDW", "transcoding")
    remove(service, first)
    (active,) = client.get("/api/exclusions").json["exclusions"]
    added_at = active.pop("added_at")
    assert added_at == pytest.approx(datetime.now(UTC).timestamp(), abs=600)
    span = {"since": NOON - 43_200, "until": NOON + 43_200}
    reason = {"reason": "the tester's disk was full", "added_by": "Ann"}
    assert active == {"id": second, "region": "MDW", "job_type": "transcoding"} | span | reason
    removed, other = client.get("/api/exclusions?all=true").json["exclusions"]
    assert other["id"] == second
    assert removed.pop("removed_at") >= removed.pop("added_at")
    assert removed == {"id": first, "region": "FRA", "removed_by": "Bob"} | span | reason


def test_all_is_true_or_false(client: FlaskClient) -> None:
    response = client.get("/api/exclusions?all=yes")
    assert (response.status_code, response.json) == (400, {"error": "all must be one of true, false, not 'yes'"})
