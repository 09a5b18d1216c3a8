"""Nodes over HTTP: those of one orchestrator, those that a gateway may use, and who passes its least score."""

import json
import time
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events
from tests.support.recorded import error_of
from tests.support.results import transcoding_event

FIRST, SECOND = "0x" + "a" * 40, "0x" + "b" * 40
GOOD, BAD, LIVE = (f"https://{name}.example.org:8935" for name in ("good", "bad", "live"))
IMAGE = {"pipeline": "Text to image", "model": "m"}
VIDEO = {"pipeline": "live-video-to-video", "model": "v"}
ALL = "since=0&until=9000"
DAY = 86400


def ai_event(moment: float, uri: str | None, region: str = "FRA", **payload: Any) -> list[Any]:
    """A row of an AI job of FIRST on a node; one that succeeds takes 2 seconds."""
    inputs = {} if uri is None else {"input_parameters": json.dumps({"prompt": "x", "orchestrator": uri})}
    return [moment, FIRST, region, "ai", IMAGE | {"success_rate": 1, "round_trip_time": 2} | inputs | payload]


@pytest.fixture
def _events(database: str) -> None:
    load_events(
        database,
        [
            ai_event(1000, GOOD, model_is_warm=True),
            ai_event(2000, BAD, model_is_warm=False),
            ai_event(3000, BAD, success_rate=0, model_is_warm=True, pipeline="text-to-image"),
            ai_event(4000, None),
            ai_event(5000, "not an address"),
            ai_event(6000, LIVE, "SEA", **VIDEO, round_trip_time=0.5, test_outcome="passed"),
            ai_event(7000, LIVE, "SEA", **VIDEO, test_outcome="unscored_busy", success_rate=None),
        ],
    )


def listed(client: FlaskClient, query: str = "") -> list[tuple[str, float]]:
    response = client.get(f"/api/discovery?{ALL}{query}")
    assert response.status_code == 200
    return [(node["address"], node["score"]) for node in response.json]


def addresses(client: FlaskClient, query: str = "") -> list[str]:
    return [address for address, _ in listed(client, query)]


GOOD_SCORE, LIVE_SCORE, BAD_SCORE = 0.65 + 0.35 * 0.8, 0.65 + 0.35 * 0.5, 0.65 * 0.5 + 0.35 * 0.8


@pytest.mark.usefixtures("_events")
def test_discovery_lists_the_nodes_best_first(client: FlaskClient) -> None:
    nodes = client.get(f"/api/discovery?{ALL}").json
    # what a gateway decodes: a list of objects with an address that it can parse, and a number
    assert [list(node) for node in nodes] == [["address", "score"]] * 3
    assert all(urlsplit(node["address"]).port == 8935 for node in nodes)
    assert [node["address"] for node in nodes] == [GOOD, LIVE, BAD]
    assert [node["score"] for node in nodes] == pytest.approx([GOOD_SCORE, LIVE_SCORE, BAD_SCORE], abs=1e-9)


@pytest.mark.usefixtures("_events")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("&region=sea", [LIVE]),
        ("&pipeline=TEXT-to_image", [GOOD, BAD]),
        ("&pipeline=Text+to+image&model=m&limit=1", [GOOD]),
        ("&pipeline=Text+to+image&model=other", []),
        ("&min_score=0.7", [GOOD, LIVE]),
        ("&min_score=1", []),
        ("&min_events=2", [BAD]),
        ("&warm=false", [BAD]),
        (f"&orchestrator={FIRST.upper().replace('X', 'x')}", [GOOD, LIVE, BAD]),
        (f"&orchestrator={SECOND}", []),
        ("&formula=1&region=SEA&min_events=2", [LIVE]),
        ("&job_type=transcoding", []),
        ("&since=6500&until=9000", []),
    ],
)
def test_discovery_lists_what_is_asked_for(client: FlaskClient, query: str, expected: list[str]) -> None:
    path = f"/api/discovery?{query[1:]}" if "since" in query else f"/api/discovery?{ALL}{query}"
    assert [node["address"] for node in client.get(path).json] == expected


@pytest.mark.usefixtures("_events")
def test_trusted_nodes_have_the_score_that_transcoding_gateways_demand(client: FlaskClient) -> None:
    assert listed(client, "&trusted=true&min_score=0.7") == [(GOOD, 1.0), (LIVE, 1.0)]
    assert listed(client, "&trusted=false&limit=1") == [(GOOD, pytest.approx(GOOD_SCORE, abs=1e-9))]


@pytest.mark.usefixtures("_events")
def test_discovery_as_a_file_has_more_columns(client: FlaskClient) -> None:
    table = pl.read_parquet(client.get(f"/api/discovery?{ALL}&format=parquet").data)
    assert table.columns == ["address", "score", "success_rate", "events", "regions", "last_seen"]
    assert table.select("address", "events").row(2) == (BAD, 2)


def test_discovery_without_nodes_is_an_empty_list(client: FlaskClient) -> None:
    assert client.get("/api/discovery").json == []


@pytest.mark.usefixtures("_events")
def test_discovery_has_a_new_result_at_once(client: FlaskClient, database: str) -> None:
    assert BAD in addresses(client, "&min_score=0.6")
    load_events(database, [ai_event(3500, BAD, success_rate=0)])
    assert BAD not in addresses(client, "&min_score=0.6")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("min_score=2", "min_score must be a number from 0 to 1, not '2'"),
        ("min_score=nan", "min_score must be a number from 0 to 1, not 'nan'"),
        ("min_score=-0.1", "min_score must be a number from 0 to 1, not '-0.1'"),
        ("limit=0", "limit must be an integer from 1 to 1000, not '0'"),
        ("trusted=yes", "trusted must be one of true, false, not 'yes'"),
        ("model=m", "pipeline required"),
        ("job_type=x", "job_type must be transcoding or ai, not 'x'"),
    ],
)
def test_malformed_parameter_of_discovery_is_refused(client: FlaskClient, query: str, sentence: str) -> None:
    assert error_of(client, f"discovery?{query}") == sentence


@pytest.mark.usefixtures("_events")
def test_page_of_an_orchestrator_has_a_row_per_node(client: FlaskClient) -> None:
    answer = client.get(f"/api/orchestrators/{FIRST}?{ALL}").json
    nodes = {row["service_uri"]: row for row in answer["service_uris"]}
    assert list(nodes) == [BAD, GOOD, LIVE, "not an address"]
    assert nodes[BAD] == {
        "service_uri": BAD,
        "job_type": "ai",
        "region": "FRA",
        # as the newest result spells it
        "pipeline": "Text to image",
        "model": "m",
        "events": 2,
        "succeeded": 1,
        "failed": 1,
        "unscored": 0,
        "success_rate": 0.5,
        "round_trip_score": pytest.approx(0.8, abs=1e-9),
        "score": pytest.approx(BAD_SCORE, abs=1e-9),
        "round_trip_time": 2.0,
        "p50_round_trip_time": 2.0,
        "p95_round_trip_time": 2.0,
        "last_seen": 3000,
    }
    live = nodes[LIVE]
    assert (live["region"], live["events"], live["unscored"], live["last_seen"]) == ("SEA", 1, 1, 7000)
    assert "round_trip_time" not in live
    image = next(job for job in answer["jobs"] if job["model"] == "m")
    assert (image["warm_events"], image["cold_events"], image["warm_success_rate"]) == (2, 1, 0.5)


@pytest.mark.usefixtures("_events")
def test_orchestrator_without_named_nodes_has_none(client: FlaskClient) -> None:
    assert client.get(f"/api/orchestrators/{FIRST}?since=3500&until=4500").json["service_uris"] == []


@pytest.mark.usefixtures("_events")
def test_raw_results_are_found_by_any_spelling_and_by_warmth(client: FlaskClient) -> None:
    def moments(query: str) -> list[bool]:
        answer = client.get(f"/api/raw_stats?{ALL}&orchestrator={FIRST}&region=FRA&{query}").json
        return [result["model_is_warm"] for result in answer.get("FRA", [])]

    assert len(moments("pipeline=text_to_IMAGE")) == 5
    assert moments("job_type=ai&warm=true") == [True, True]
    assert moments("pipeline=text-to-image&warm=false") == [False]


@pytest.fixture
def _week(database: str) -> None:
    now = time.time()
    failed = {"success_rate": 0, "round_trip_time": 0}
    load_events(
        database,
        [
            transcoding_event(now - 60, FIRST),
            *(transcoding_event(now - 2 * DAY - number, SECOND) for number in range(9)),
            transcoding_event(now - 60, SECOND, **failed),
            *(transcoding_event(now - number, "0x" + "c" * 40, **failed) for number in range(3)),
            transcoding_event(now - 3 * DAY, "0x" + "d" * 40),
            transcoding_event(now - 8 * DAY, "0x" + "e" * 40),
        ],
    )


@pytest.mark.usefixtures("_week")
def test_preview_tells_who_passes_and_who_lacks_tests(client: FlaskClient) -> None:
    preview = client.get("/api/gateway_preview?region=fra&min_score=0.7").json
    head = {name: value for name, value in preview.items() if name != "orchestrators"}
    assert head == {
        "region": "FRA",
        "job_type": "transcoding",
        "min_score": 0.7,
        "filter_applies": True,
        "counts": {"passes": 1, "passes_week": 3, "lacks_tests": 2},
    }
    rows = [
        (row["orchestrator"][2], row["state"], row["passes"], row["passes_week"], row["lacks_tests"])
        for row in preview["orchestrators"]
    ]
    assert rows == [
        ("a", "passes", True, True, False),
        ("b", "few_events", False, True, True),
        ("c", "too_low", False, False, False),
        ("d", "not_tested", False, True, True),
    ]
    second = preview["orchestrators"][1]
    assert (second["score"], second["events"], second["week_events"]) == (0.0, 1, 10)
    assert "score" not in preview["orchestrators"][3]
    scores = client.get("/api/aggregated_stats?region=FRA").json
    assert preview["orchestrators"][0]["score"] == pytest.approx(scores[FIRST]["FRA"]["score"], abs=1e-9)


@pytest.mark.usefixtures("_week")
def test_gateway_uses_all_where_nobody_passes(client: FlaskClient) -> None:
    preview = client.get("/api/gateway_preview?region=FRA&min_score=0.99").json
    assert (preview["filter_applies"], preview["counts"]["passes"]) == (False, 0)
    assert client.get("/api/gateway_preview?region=FRA&min_score=0").json["filter_applies"] is False


@pytest.mark.usefixtures("_week")
def test_number_of_tests_that_are_enough_is_a_parameter(client: FlaskClient) -> None:
    preview = client.get("/api/gateway_preview?region=FRA&min_events=1").json
    assert preview["orchestrators"][1]["state"] == "too_low"


@pytest.mark.usefixtures("_week")
def test_operator_asks_for_one_orchestrator(client: FlaskClient) -> None:
    preview = client.get(f"/api/gateway_preview?region=FRA&orchestrator={SECOND}").json
    assert [row["orchestrator"] for row in preview["orchestrators"]] == [SECOND]
    assert (preview["filter_applies"], preview["counts"]["passes"]) == (True, 1)


@pytest.mark.usefixtures("_week")
def test_preview_is_a_file_on_request(client: FlaskClient) -> None:
    table = pl.read_parquet(client.get("/api/gateway_preview?region=FRA&format=parquet").data)
    assert table.filter("lacks_tests")["orchestrator"].to_list() == [SECOND, "0x" + "d" * 40]


def test_preview_of_ai_jobs_names_them(client: FlaskClient, database: str) -> None:
    load_events(database, [ai_event(time.time() - 60, None)])
    preview = client.get("/api/gateway_preview?region=FRA&pipeline=text-to-image&model=m").json
    assert (preview["pipeline"], preview["model"], preview["job_type"]) == ("text-to-image", "m", "ai")
    assert [row["state"] for row in preview["orchestrators"]] == ["passes"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "region is a required parameter"),
        ("region=FRA&pipeline=p", "model required"),
        ("region=FRA&min_score=70", "min_score must be a number from 0 to 1, not '70'"),
    ],
)
def test_malformed_parameter_of_the_preview_is_refused(client: FlaskClient, query: str, sentence: str) -> None:
    assert error_of(client, f"gateway_preview?{query}") == sentence
