"""One orchestrator over HTTP: its jobs and errors."""

import json
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from leaderboard.web.media_types import JSON
from leaderboard.web.rendering import render_orchestrator
from queries import EventFilter, orchestrator_error_classes, orchestrator_errors, orchestrator_jobs, service_uris
from tests.conftest import load_events
from tests.queries.conftest import make_events
from tests.support.recorded import ADDRESS as RECORDED_ADDRESS
from tests.support.recorded import ALL, SCORE_FIELDS, error_of
from tests.support.results import transcoding_event

ADDRESS = "0x" + "aB" * 20
ORCHESTRATOR_QUERIES = (orchestrator_jobs, orchestrator_errors, orchestrator_error_classes, service_uris)


@pytest.fixture
def _events(database: str) -> None:
    ai = {"pipeline": "p", "model": "m", "success_rate": 1, "round_trip_time": 2}
    errors = [{"error_code": "NoSession", "message": "none", "count": 3}, {"error_code": "Timeout", "count": 1}]
    load_events(
        database,
        [
            transcoding_event(1000, ADDRESS),
            transcoding_event(2000, ADDRESS, success_rate=0, errors=errors),
            transcoding_event(3000, "0x" + "c" * 40),
            [4000, ADDRESS, "LAX", "ai", ai],
            [5000, ADDRESS, "LAX", "ai", ai | {"success_rate": 0.5, "errors": errors[1:]}],
        ],
    )


@pytest.mark.usefixtures("_events")
@pytest.mark.parametrize("spelled", [ADDRESS, ADDRESS.lower(), "0x" + "AB" * 20])
def test_document_has_jobs_errors_and_ranks(client: FlaskClient, spelled: str) -> None:
    found = client.get(f"/api/orchestrators/{spelled}?since=0&until=9000").json
    assert found["orchestrator"] == ADDRESS.lower()
    assert (found["job_types"], found["regions"]) == (["ai", "transcoding"], ["FRA", "LAX"])
    assert found["pipelines"] == [{"id": "p", "models": ["m"]}]
    ai, transcoding = found["jobs"]
    assert (ai["region"], ai["pipeline"], ai["model"], ai["rank"], ai["ranked_count"]) == ("LAX", "p", "m", 1, 1)
    timeout = {"results": 1, "count": 1, "share": 1.0, "last_seen": 5000}
    assert ai["errors"] == [{"error_code": "Timeout", "class": "timeout"} | timeout]
    assert (ai["median_round_trip_time"], ai["round_trip_time"]) == (2.0, 2.0)
    assert (transcoding["rank"], transcoding["ranked_count"], transcoding["success_rate"]) == (2, 2, 0.5)
    assert (transcoding["last_success"], transcoding["last_failure"]) == (1000, 2000)
    assert [(error["error_code"], error["count"], error["share"]) for error in transcoding["errors"]] == [
        ("NoSession", 3, 0.75),
        ("Timeout", 1, 0.25),
    ]
    assert not {"pipeline", "model", "median_round_trip_time"} & transcoding.keys()


@pytest.mark.usefixtures("_events")
def test_errors_of_all_jobs_are_grouped_by_class(client: FlaskClient) -> None:
    missing, timeout = client.get(f"/api/orchestrators/{ADDRESS}?since=0&until=9000").json["error_classes"]
    assert missing.pop("what_to_do").startswith("Check that the node is active")
    counts = {"results": 1, "count": 3, "share": 0.6, "last_seen": 2000}
    assert missing == {"class": "no_orchestrator", "codes": ["NoSession"]} | counts
    assert (timeout["class"], timeout["results"], timeout["count"], timeout["last_seen"]) == ("timeout", 2, 2, 5000)


def test_the_same_error_with_other_ports_is_one(client: FlaskClient, database: str) -> None:
    refused = 'Post "https://198.51.100.7:{0}/p": dial tcp 198.51.100.7:{0}: connect: connection refused'
    error = [{"error_code": refused.format(port), "message": "", "count": 1} for port in (9935, 9936)]
    busy = [{"error_code": "503", "message": '{"error":{"message":"insufficient capacity"}}', "count": 3}]
    load_events(
        database,
        [
            transcoding_event(1000, ADDRESS, success_rate=0, errors=error[:1]),
            transcoding_event(2000, ADDRESS, success_rate=0, errors=error[1:]),
            transcoding_event(3000, ADDRESS, success_rate=0, errors=busy),
        ],
    )
    document = client.get(f"/api/orchestrators/{ADDRESS}?since=0&until=9000").json
    assert [(error["class"], error["error_code"], error.get("message")) for error in document["jobs"][0]["errors"]] == [
        ("busy", "503", "insufficient capacity"),
        ("refused", 'Post "https://…/p": dial tcp …: connect: connection refused', None),
    ]
    assert [(found["class"], found["results"]) for found in document["error_classes"]] == [("busy", 1), ("refused", 2)]


def test_etag_covers_the_results_of_a_class() -> None:
    etags = set()
    for results in ([["EOF", "Download"], []], [["EOF"], ["Download"]]):
        payloads = [json.dumps({"errors": [{"error_code": code} for code in codes]}) for codes in results]
        events = make_events([{"id": number, "payload": payload} for number, payload in enumerate(payloads)])
        own = EventFilter(orchestrator="0xa")
        frames = [query(events, own) for query in ORCHESTRATOR_QUERIES]
        etags.add(render_orchestrator("0xa", *frames, JSON).etag)
    assert len(etags) == 2


@pytest.mark.usefixtures("_events")
def test_null_fields_are_omitted(client: FlaskClient) -> None:
    (job,) = client.get(f"/api/orchestrators/{ADDRESS}?since=0&until=1500").json["jobs"]
    assert "last_failure" not in job
    assert job["errors"] == []


def test_untested_orchestrator_has_empty_lists(client: FlaskClient) -> None:
    response = client.get(f"/api/orchestrators/{ADDRESS}")
    assert response.status_code == 200
    empty = {name: [] for name in ("job_types", "regions", "pipelines", "jobs", "error_classes", "service_uris")}
    assert response.json == {"orchestrator": ADDRESS.lower()} | empty


def test_two_untested_orchestrators_have_different_etags(client: FlaskClient) -> None:
    paths = (f"/api/orchestrators/0x{letter * 40}" for letter in "ab")
    assert len({client.get(path).headers["ETag"] for path in paths}) == 2


@pytest.mark.parametrize("address", ["0x1", "b" * 40, "0x" + "g" * 40])
def test_malformed_address_is_refused(client: FlaskClient, address: str) -> None:
    assert error_of(client, f"orchestrators/{address}").startswith("orchestrator must be an address")


def test_scores_and_ranks_follow_from_aggregated_stats(recorded: FlaskClient) -> None:
    jobs = recorded.get(f"/api/orchestrators/{RECORDED_ADDRESS}?{ALL}").json["jobs"]
    for job in jobs:
        model = f"&pipeline={quote(job['pipeline'])}&model={quote(job['model'])}" if "model" in job else ""
        scores = recorded.get(f"/api/aggregated_stats?{ALL}{model}").json
        there = {name: regions[job["region"]] for name, regions in scores.items() if job["region"] in regions}
        assert [job[field] for field in SCORE_FIELDS] == pytest.approx(
            [there[RECORDED_ADDRESS][field] for field in SCORE_FIELDS], abs=1e-9
        )
        assert job["ranked_count"] == len(there)
        assert job["rank"] == 1 + sum(other["score"] > job["score"] + 1e-12 for other in there.values())
