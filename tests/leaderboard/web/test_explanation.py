"""Why an orchestrator has its score, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.web.caching.incidents import MAX_DAYS, REFRESH, USUAL_DAYS, incident_range
from queries.times import MIN_TIME, TimeRange
from tests.conftest import load_events
from tests.support.recorded import error_of
from tests.support.results import transcoding_event

ADDRESS = "0x" + "aB" * 20
HOUR = 3600
OTHERS = ["0x" + letter * 40 for letter in "cd"]
TIMEOUT = [{"error_code": "Timeout", "count": 2}]
LIVE = {"pipeline": "Live video to video", "model": "m", "success_rate": 1, "round_trip_time": 0.5}


@pytest.fixture
def _events(database: str) -> None:
    load_events(
        database,
        [
            *[transcoding_event(moment, address) for moment in (1000, 2000) for address in OTHERS],
            transcoding_event(1000, ADDRESS),
            transcoding_event(2000, ADDRESS, success_rate=0, errors=TIMEOUT),
            [3000, ADDRESS, "LAX", "ai", LIVE],
            [4000, ADDRESS, "LAX", "ai", LIVE | {"success_rate": 0, "errors": [{"error_code": "503"}]}],
        ],
    )


def explain(client: FlaskClient, query: str = "since=0&until=9000", address: str = ADDRESS) -> dict[str, Any]:
    response = client.get(f"/api/orchestrators/{address}/explanation?{query}")
    assert response.status_code == 200
    return response.json


@pytest.mark.usefixtures("_events")
def test_document_explains_the_score(client: FlaskClient) -> None:
    found = explain(client)
    (row,) = client.get(f"/api/leaderboard?since=0&until=9000&orchestrator={ADDRESS}").json["leaderboard"]
    assert found["score"] == pytest.approx(row["score"], abs=1e-12)
    names = ("orchestrator", "rank", "events", "failed", "unscored")
    assert [found[name] for name in names] == [row[name] for name in names]
    assert (found["job_type"], found["reason"], found["ranked_count"]) == ("transcoding", "failures", 3)
    assert found["lost"] == pytest.approx(1 - found["score"])
    assert sum(cause["cost"] for cause in found["causes"]) == pytest.approx(found["lost"])
    (job,) = found["jobs"]
    assert (job["region"], job["failed"], job["failure_cost"], job["median_failure_cost"]) == ("FRA", 1, 0.5, 0)
    (timeout,) = found["error_classes"]
    assert (timeout["region"], timeout["class"], timeout["results"], timeout["last_seen"]) == (
        "FRA",
        "timeout",
        1,
        2000,
    )
    assert timeout["what_to_do"] in found["sentences"]
    assert found["sentences"][0].startswith("Your score is ")
    assert {row["change"] for row in found["what_ifs"]} == {"success_99", "success_99_in_worst_job"}
    assert found["incidents"] == []


@pytest.mark.usefixtures("_events")
def test_parameters_select_the_job(client: FlaskClient) -> None:
    window = "since=0&until=9000"
    of_ai = explain(client, f"{window}&job_type=ai")
    assert [(job["region"], job["pipeline"]) for job in of_ai["jobs"]] == [("LAX", "Live video to video")]
    assert [(row["pipeline"], row["class"]) for row in of_ai["error_classes"]] == [("Live video to video", "http_5xx")]
    named = explain(client, f"{window}&pipeline=live-video-to-video&model=m")
    assert (named["score"], named["jobs"][0]["pipeline"]) == (of_ai["score"], "live-video-to-video")
    assert explain(client, f"{window}&region=lax")["reason"] == "not_tested"
    assert explain(client, "since=0&until=1500")["reason"] == "one_result"
    assert explain(client, f"{window}&job_type=ai&formula=1")["score"] != of_ai["score"]


def test_untested_orchestrator_is_told_so(client: FlaskClient) -> None:
    found = explain(client)
    assert (found["orchestrator"], found["reason"], found["jobs"]) == (ADDRESS.lower(), "not_tested", [])
    assert "score" not in found
    assert found["sentences"]


@pytest.mark.parametrize("address", ["0x1", "b" * 40])
def test_malformed_address_is_refused(client: FlaskClient, address: str) -> None:
    assert error_of(client, f"orchestrators/{address}/explanation").startswith("orchestrator must be an address")


def test_tester_that_was_at_fault_is_named(client: FlaskClient, database: str) -> None:
    begin, bad_hours, orchestrators = 1790000000 // HOUR * HOUR, range(60, 64), 6
    good = {"success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
    load_events(
        database,
        [
            [begin + hour * HOUR + 60 * number, f"0x{number:040x}", region, "transcoding",
             good | {"success_rate": 0 if region == "FRA" and hour in bad_hours else 1}]
            for hour in range(72)
            for number in range(orchestrators)
            for region in ("FRA", "LAX")
        ],
    )  # fmt: skip
    # one day alone does not tell what is usual
    found = explain(client, f"since={begin + 48 * HOUR}&until={begin + 72 * HOUR}", f"0x{1:040x}")
    (incident,) = found["incidents"]
    assert (incident["region"], incident["kind"], incident["events"], incident["failed"]) == ("FRA", "failures", 4, 4)
    assert (incident["begin"], incident["end"]) == (begin + 60 * HOUR, begin + 63 * HOUR + 60 * 5 + 1)
    assert incident["cost"] == pytest.approx(incident["score_without"] - found["score"])
    assert "in FRA most orchestrators failed" in found["sentences"][1]
    before = explain(client, f"since={begin + 24 * HOUR}&until={begin + 48 * HOUR}", f"0x{1:040x}")
    assert before["incidents"] == []


def test_incidents_are_looked_for_in_a_week_at_least_and_a_month_at_most() -> None:
    until = datetime(2026, 9, 1, 12, 3, tzinfo=UTC)
    day = incident_range(TimeRange(until - timedelta(days=1), until))
    assert day.until == datetime(2026, 9, 1, 12, 5, tzinfo=UTC)
    assert day.until - day.since == USUAL_DAYS
    assert incident_range(TimeRange(until - timedelta(days=20), until)).since == datetime(2026, 8, 12, 12, tzinfo=UTC)
    assert incident_range(TimeRange(MIN_TIME, until)) == TimeRange(day.until - MAX_DAYS, day.until)
    assert incident_range(TimeRange(MIN_TIME, MIN_TIME)).since == MIN_TIME


def test_requests_within_minutes_look_for_incidents_once() -> None:
    until = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
    ranges = {
        incident_range(TimeRange(until - timedelta(days=1) + later, until + later))
        for later in (timedelta(), timedelta(seconds=299), REFRESH)
    }
    assert len(ranges) == 2
