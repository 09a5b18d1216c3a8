"""Stored results as ``/api/raw_stats`` returns them."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from leaderboard.results.completion import CHUNK_RESULTS, JsonByRegion, complete
from queries import AI, TRANSCODING

ADDRESS = "0x" + "a" * 40
COMMON = {"orchestrator": ADDRESS, "success_rate": 0.5, "round_trip_time": 1.25, "errors": [{"n": 1}], "timestamp": 7}
VIDEO_FIELDS = ("seg_duration", "segments_sent", "segments_received", "upload_time", "download_time", "transcode_time")
VIDEO = COMMON | dict.fromkeys(VIDEO_FIELDS, 1)
IMAGE = COMMON | {"model": "m", "pipeline": "p", "model_is_warm": True}


def body(results: list[tuple[str, dict[str, Any]]], job_type: str) -> bytes:
    """The response for results with their regions."""
    texts = [json.dumps({"region": region} | result) for region, result in results]
    columns = {"region": [region for region, _ in results], "orchestrator": ADDRESS, "payload": texts}
    frame = pl.DataFrame(columns).with_columns(event_time=pl.lit(datetime(2026, 9, 1, tzinfo=UTC)))
    return b"".join(JsonByRegion(frame, job_type))


@pytest.mark.parametrize(("result", "job_type"), [(VIDEO, TRANSCODING), (IMAGE, AI)])
def test_complete_results_are_passed_through(result: dict[str, Any], job_type: str) -> None:
    stored = [result | {"extra": f" {number} "} for number in range(2 * CHUNK_RESULTS + 1)]
    found = body([("FRA", one) for one in stored], job_type)
    texts = ", ".join(json.dumps({"region": "FRA"} | one) for one in stored).replace("}, {", "},{")
    assert found == b'{"FRA":[%b]}' % texts.encode()


@pytest.mark.parametrize(
    "change",
    [{"orchestrator": "0xother"}, {"region": "LON"}, {"success_rate": "1"}, {"segments_sent": 1.5}, {"errors": None}],
    ids=str,
)
def test_result_that_is_not_complete_is_completed_among_others(change: dict[str, Any]) -> None:
    odd = {"region": "FRA"} | VIDEO | change
    found = json.loads(body([("FRA", VIDEO), ("FRA", odd), ("FRA", VIDEO)], TRANSCODING))["FRA"]
    whole = {"region": "FRA"} | VIDEO
    assert found == [whole, json.loads(complete(json.dumps(odd), "FRA", ADDRESS, TRANSCODING)), whole]
    assert found[1] != odd
    assert found[1].keys() == whole.keys()


def test_body_may_be_made_several_times() -> None:
    frame = pl.DataFrame({"region": ["LON", "FRA"], "orchestrator": ADDRESS, "payload": ["{}", "[]"]})
    response = JsonByRegion(frame, TRANSCODING)
    assert list(json.loads(b"".join(response))) == ["LON", "FRA"]
    assert b"".join(response) == b"".join(response)
