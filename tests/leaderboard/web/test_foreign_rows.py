"""Rows that another program wrote must neither fail a response nor break its types."""

import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events, rows
from tests.support.endpoints import ADDRESS, GETS, NOW

pytestmark = pytest.mark.usefixtures("endpoint_events")

MEASURES = {"success_rate": 1, "round_trip_time": 2, "seg_duration": 2}


def scores_of_row(client: FlaskClient, database: str, payload: object, region: str = "LON") -> dict[str, float]:
    load_events(database, [[NOW, ADDRESS, region, "transcoding", payload]])
    return client.get(f"{GETS['aggregated_stats']}&region={region}").json[ADDRESS.lower()][region]


@pytest.mark.parametrize("payload", [[], "x", None, 5, {}])
def test_payload_that_is_no_result_counts_as_failed(client: FlaskClient, database: str, payload: object) -> None:
    assert scores_of_row(client, database, payload)["score"] == 0
    (result,) = client.get(f"{GETS['raw_stats']}&region=LON").json["LON"]
    assert (result["region"], result["success_rate"], result["errors"]) == ("LON", 0, [])


@pytest.mark.parametrize("value", ["1", None, True, {}, [], -1, 1e13, "-"])
@pytest.mark.parametrize("field", ["success_rate", "round_trip_time", "seg_duration"])
def test_measure_of_another_type_counts_as_0(client: FlaskClient, database: str, field: str, value: object) -> None:
    absent = {name: number for name, number in MEASURES.items() if name != field}
    expected = scores_of_row(client, database, absent, "LON")
    assert scores_of_row(client, database, absent | {field: value}, "NYC") == expected


@pytest.mark.parametrize("field", ["round_trip_time", "timestamp", "segments_sent"])
@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e-400", "1e-310"])
def test_number_beyond_float_fails_no_response(client: FlaskClient, database: str, field: str, number: str) -> None:
    scores_of_row(client, database, MEASURES)
    rows(database, f"""UPDATE events SET payload = payload || '{{"{field}": {number}}}'""")
    for path in GETS.values():
        response = client.get(path)
        assert response.status_code == 200
        if path == GETS["raw_stats"]:
            assert [result[field] for result in response.json["LON"]] == [0]
        elif "stats" in path:
            assert "null" not in response.text


def test_known_fields_always_have_their_type(client: FlaskClient, database: str) -> None:
    odd = {"timestamp": 15.0, "segments_sent": 15.5, "segments_received": "x", "errors": {}, "upload_time": None}
    scores_of_row(client, database, odd | {"extra": "kept", "none": None})
    (result,) = client.get(f"{GETS['raw_stats']}&region=LON").json["LON"]
    assert [result[name] for name in ("segments_sent", "segments_received", "errors")] == [15, 0, []]
    assert (result["upload_time"], result["extra"], result["none"]) == (0, "kept", None)
    assert (result["timestamp"], type(result["timestamp"])) == (15, int)


@pytest.mark.parametrize("orchestrator", ["", "hello", "0x123", f" {ADDRESS}"[:42], "0x" + "g" * 40])
def test_malformed_address_is_left_out(client: FlaskClient, database: str, orchestrator: str) -> None:
    before = client.get(GETS["aggregated_stats"]).json
    load_events(database, [[NOW, orchestrator, "LON", "transcoding", MEASURES]])
    assert client.get(GETS["aggregated_stats"]).json == before


def test_lower_case_region_is_returned_in_upper_case(client: FlaskClient, database: str) -> None:
    rows(database, "UPDATE regions SET name = 'lon' WHERE name = 'LON'")
    load_events(database, [[NOW, ADDRESS, "lon", "transcoding", MEASURES]])
    scores = client.get(f"{GETS['aggregated_stats']}&region=LON").json
    assert list(scores[ADDRESS.lower()]) == ["LON"]
