"""aggregated_stats, top_ai_score and pipelines over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.settings import Settings
from leaderboard.simulation.generator import Simulation
from tests.conftest import load_events
from tests.support.endpoints import ADDRESS, AI_JOB, AI_QUERY, GETS, NOW

pytestmark = pytest.mark.usefixtures("endpoint_events")


def test_transcoding_scores_have_both_names_and_success_rate_is_capped(client: FlaskClient) -> None:
    scores = client.get(GETS["aggregated_stats"]).json[ADDRESS.lower()]
    assert set(scores) == {"FRA", "MDW"}
    assert set(scores["FRA"]) == {"success_rate", "round_trip_score", "score", "latency_score", "total_score"}
    assert scores["FRA"]["latency_score"] == scores["FRA"]["round_trip_score"]
    assert scores["FRA"]["total_score"] == scores["FRA"]["score"]
    assert scores["MDW"]["success_rate"] == 1


def test_ai_scores_have_three_fields(client: FlaskClient) -> None:
    scores = client.get(GETS["aggregated_stats, AI"]).json
    assert set(scores[ADDRESS.lower()]["FRA"]) == {"success_rate", "round_trip_score", "score"}


def test_scores_decode_as_nested_maps_of_numbers(client: FlaskClient) -> None:
    """As gateways decode it: map[address]map[string]map[string]float64, and nothing else."""
    assert client.get("/api/aggregated_stats?until=5").json == {}
    for path in (GETS["aggregated_stats"], GETS["aggregated_stats, AI"]):
        document = client.get(path).json
        assert document
        for orchestrator, regions in document.items():
            assert len(orchestrator) == 42
            assert orchestrator.startswith("0x")
            assert regions
            for region, scores in regions.items():
                assert region == region.upper()
                assert scores
                assert all(type(value) in (int, float) and 0 <= value <= 1 for value in scores.values())


def test_longest_times_give_scores_from_0_to_1(client: FlaskClient, post: Any) -> None:
    for success, seconds, job in ((1, 1e12, {}), (1, 1e-100, AI_JOB), (1, 0, AI_JOB), (1, 1e12, AI_JOB)):
        body = {"region": "LAX", "orchestrator": ADDRESS, "success_rate": success, "round_trip_time": seconds}
        assert post(body | {"seg_duration": 1e12} | job).status_code == 200
    for query in ("", f"?{AI_QUERY}"):
        scores = client.get(f"/api/aggregated_stats{query}").json[ADDRESS.lower()]["LAX"]
        assert all(0 <= value <= 1 for value in scores.values())


def test_etag_ignores_the_last_bits_of_scores(database: str) -> None:
    until = datetime(2026, 1, 1, tzinfo=UTC)
    store = Database(database, 60)
    for frame in Simulation(120_000, until - timedelta(days=1), until, ai_share=0).frames():
        writer.copy(store, RegionRegistry(store, 0), frame)
    store.close()
    app = create_app(Settings(lake_sync_interval=0, postgres=database, cache_type="NullCache"))
    asked = f"/api/aggregated_stats?until={until.timestamp()}"
    assert len({app.test_client().get(asked).headers["ETag"] for _ in range(6)}) == 1
    app.extensions["leaderboard"].close()


@pytest.mark.parametrize("query", ["", "?orchestrator=", "?orchestrator=0xnobody", "?orchestrator=%00"])
def test_top_score_of_unknown_orchestrator_is_empty(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/top_ai_score{query}")
    assert (response.status_code, response.json) == (200, {})


def test_top_score_equals_aggregated_score(client: FlaskClient, post: Any) -> None:
    for orchestrator, seconds in ((ADDRESS, 1.0), ("0x" + "c" * 40, 3.0)):
        body = {"region": "LAX", "orchestrator": orchestrator, "success_rate": 1, "round_trip_time": seconds}
        assert post(body | AI_JOB).status_code == 200
    best = client.get(f"/api/top_ai_score?orchestrator={ADDRESS}").json
    scores = client.get(f"/api/aggregated_stats?{AI_QUERY}").json
    assert best == {
        "region": "LAX",
        "orchestrator": ADDRESS.lower(),
        "value": pytest.approx(scores[ADDRESS.lower()]["LAX"]["score"], abs=1e-9),
        "model": "a/b",
        "pipeline": "Text to image",
    }


def test_pipelines_are_cached_per_query(client: FlaskClient, database: str) -> None:
    before = client.get(GETS["pipelines"]).json
    assert before == {"pipelines": [{"id": "Text to image", "models": ["a/b"], "regions": ["FRA"]}]}
    load_events(database, [[NOW, ADDRESS, "LAX", "ai", {"pipeline": "Another", "model": "z"}]])
    assert client.get(GETS["pipelines"]).json == before
    assert client.get(f"{GETS['pipelines']}&region=LAX").json["pipelines"] == [
        {"id": "Another", "models": ["z"], "regions": ["LAX"]}
    ]
