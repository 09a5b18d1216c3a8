"""``/api/incidents``."""

import io
from collections.abc import Callable

import polars as pl
import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events

HOUR = 3600
BEGIN = 1790000000 // HOUR * HOUR
WINDOW = f"since={BEGIN}&until={BEGIN + 72 * HOUR}"
BAD_HOURS = range(40, 44)
ORCHESTRATORS = 6


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    good = {"success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
    load_events(
        database,
        [
            [BEGIN + hour * HOUR + 60 * number, f"0x{number:040x}", region, "transcoding",
             good | {"success_rate": 0 if region == "FRA" and hour in BAD_HOURS else 1}]
            for hour in range(72)
            for number in range(ORCHESTRATORS)
            for region in ("FRA", "LAX")
        ],
    )  # fmt: skip


EXPECTED = {
    "begin": BEGIN + BAD_HOURS[0] * HOUR,
    "end": BEGIN + BAD_HOURS[-1] * HOUR + 60 * (ORCHESTRATORS - 1) + 1,
    "region": "FRA",
    "job_type": "transcoding",
    "kind": "failures",
    "share_affected": 1.0,
    "orchestrators": ORCHESTRATORS,
    "events": ORCHESTRATORS * len(BAD_HOURS),
    "rule": "most_failed",
}


def test_incident_of_a_tester_is_answered(client: FlaskClient) -> None:
    assert client.get(f"/api/incidents?{WINDOW}").json == {"incidents": [EXPECTED]}


@pytest.mark.parametrize(
    ("query", "found"),
    [("region=fra", 1), ("region=LAX", 0), ("job_type=transcoding", 1), ("job_type=ai", 0), ("region=NOWHERE", 0)],
)
def test_region_and_job_type_select_incidents(client: FlaskClient, query: str, found: int) -> None:
    assert len(client.get(f"/api/incidents?{WINDOW}&{query}").json["incidents"]) == found


def test_window_selects_results(client: FlaskClient) -> None:
    assert client.get(f"/api/incidents?since={BEGIN}&until={BEGIN + 39 * HOUR}").json == {"incidents": []}


def test_unknown_job_type_is_refused(client: FlaskClient) -> None:
    response = client.get("/api/incidents?job_type=video")
    assert (response.status_code, response.json) == (
        400,
        {"error": "job_type must be transcoding or ai, not 'video'"},
    )


def test_incidents_are_computed_once_for_the_same_events(
    client: FlaskClient, computed: Callable[[], list[str]]
) -> None:
    path = f"/api/incidents?{WINDOW}"
    # the first request loads the window into memory
    assert client.get(path).status_code == 200
    before = len(computed())
    assert [client.get(path).status_code for _ in range(3)] == [200] * 3
    assert len(computed()) <= before + 1


def test_incidents_are_a_file(client: FlaskClient) -> None:
    table = pl.read_parquet(io.BytesIO(client.get(f"/api/incidents?{WINDOW}&format=parquet").data))
    assert table.with_columns(pl.col("begin", "end").dt.epoch("s")).to_dicts() == [EXPECTED]
