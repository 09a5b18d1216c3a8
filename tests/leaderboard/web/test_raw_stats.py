"""raw_stats over HTTP."""

import json

import pytest
from flask.testing import FlaskClient

from tests.support.endpoints import ADDRESS, AT_NOW, GETS, NOW

pytestmark = pytest.mark.usefixtures("endpoint_events")


def test_transcoding_result_has_every_field_and_integer_counts(client: FlaskClient) -> None:
    response = client.get(GETS["raw_stats"])
    result = response.json["FRA"][0]
    assert result == {
        "region": "FRA",
        "orchestrator": ADDRESS.lower(),
        "success_rate": 0.5,
        "round_trip_time": 2,
        "errors": [],
        "timestamp": NOW - 60,
        "seg_duration": 2,
        "segments_sent": 0,
        "segments_received": 0,
        "upload_time": 0,
        "download_time": 0,
        "transcode_time": 0,
    }
    counts = ("timestamp", "segments_sent", "segments_received")
    assert all(isinstance(json.loads(response.data)["FRA"][0][name], int) for name in counts)


def test_ai_result_has_every_field_that_all_results_have(client: FlaskClient) -> None:
    result = client.get(GETS["raw_stats, AI"]).json["FRA"][0]
    assert result["model_is_warm"] is False
    assert (result["pipeline"], result["model"]) == ("Text to image", "a/b")
    assert "input_parameters" not in result


def test_results_without_model_are_of_all_models(client: FlaskClient) -> None:
    path = f"/api/raw_stats?{AT_NOW}&orchestrator={ADDRESS}"
    for query in ("pipeline=Text+to+image", "job_type=ai"):
        assert client.get(f"{path}&{query}").json == client.get(GETS["raw_stats, AI"]).json
