"""The rules that hold for every endpoint."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import Regions
from leaderboard.results import writer
from leaderboard.settings import Settings
from leaderboard.simulation.generator import Simulation
from leaderboard.web.responses import CACHE_CONTROL
from tests.conftest import load_events, rows

ADDRESS = "0x" + "aB" * 20
NOW = 1790000000
AI_JOB = {"pipeline": "Text to image", "model": "a/b"}
AI_QUERY = "pipeline=Text%20to%20image&model=a/b"
ASKED = f"since={NOW}&until={NOW}"

GETS = {
    "aggregated_stats": f"/api/aggregated_stats?{ASKED}",
    "aggregated_stats, AI": f"/api/aggregated_stats?{ASKED}&{AI_QUERY}",
    "raw_stats": f"/api/raw_stats?{ASKED}&orchestrator={ADDRESS}",
    "raw_stats, AI": f"/api/raw_stats?{ASKED}&orchestrator={ADDRESS}&{AI_QUERY}",
    "score_history": f"/api/score_history?{ASKED}&orchestrator={ADDRESS}",
    "score_history, AI of the network": f"/api/score_history?{ASKED}&{AI_QUERY}",
    "leaderboard": f"/api/leaderboard?{ASKED}",
    "leaderboard, AI": f"/api/leaderboard?{ASKED}&job_type=ai",
    "orchestrators": f"/api/orchestrators/{ADDRESS}?{ASKED}",
    "top_ai_score": f"/api/top_ai_score?orchestrator={ADDRESS}",
    "pipelines": f"/api/pipelines?{ASKED}",
    "regions": "/api/regions",
    "health": "/api/health",
}
ERRORS = {
    "400": ("GET", "/api/raw_stats", 400),
    "403": ("POST", "/api/post_stats", 403),
    "404": ("GET", "/api/nothing", 404),
    "404 outside": ("GET", "/", 404),
    "405": ("PUT", "/api/regions", 405),
    "405 for a GET": ("GET", "/api/post_stats", 405),
}
every_get = pytest.mark.parametrize("path", GETS.values(), ids=GETS.keys())
every_error = pytest.mark.parametrize(("method", "path", "status"), ERRORS.values(), ids=ERRORS.keys())


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    measures = {"success_rate": 0.5, "round_trip_time": 2, "seg_duration": 2, "timestamp": NOW - 60}
    load_events(
        database,
        [
            [NOW, ADDRESS, "FRA", "transcoding", measures],
            [NOW, ADDRESS, "MDW", "transcoding", measures | {"success_rate": 3}],
            [NOW, ADDRESS, "FRA", "ai", measures | AI_JOB],
        ],
    )


@every_get
def test_a_good_answer_is_json_that_may_be_kept_and_asked_about_again(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert response.headers["Cache-Control"] == CACHE_CONTROL == "public, max-age=30, stale-while-revalidate=15"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    again = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get(path, headers={"If-None-Match": '"other"'}).data == response.data


@every_get
def test_head_is_get_without_the_body(client: FlaskClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


@every_get
@pytest.mark.parametrize("variant", ["slash", "query", "ampersand", "unknown"])
def test_spellings_of_a_path_are_one(client: FlaskClient, path: str, variant: str) -> None:
    place, _, query = path.partition("?")
    spelled = {
        "slash": f"{place}/?{query}",
        "query": f"{place}?{query}",
        "ampersand": f"{place}?{query}&",
        "unknown": f"{place}?{query}&unknown=1",
    }[variant]
    assert client.get(spelled).json == client.get(path).json


@pytest.mark.parametrize("path", [*GETS.values(), "/api/post_stats"])
def test_a_preflight_lets_any_page_ask(client: FlaskClient, path: str) -> None:
    origin = {"Origin": "https://explorer.example", "Access-Control-Request-Method": "GET"}
    response = client.options(path, headers=origin)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert (
        response.headers["Access-Control-Allow-Headers"]
        == "Accept, Content-Type, Content-Length, Accept-Encoding, Authorization"
    )


@every_error
def test_an_error_is_one_sentence_that_no_cache_keeps_and_any_page_reads(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.content_type) == (status, "application/json")
    assert list(response.json) == ["error"]
    assert response.json["error"].strip()
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("aggregated_stats?model=x", "pipeline required"),
        ("aggregated_stats?pipeline=x", "model required"),
        ("raw_stats", "orchestrator is a required parameter"),
        (f"raw_stats?orchestrator={ADDRESS}&model=x", "pipeline required"),
    ],
)
def test_clients_read_these_sentences(client: FlaskClient, query: str, sentence: str) -> None:
    assert client.get(f"/api/{query}").json == {"error": sentence}


@pytest.mark.parametrize(
    "endpoint",
    [
        *("aggregated_stats", "pipelines", f"raw_stats?orchestrator={ADDRESS}"),
        *("score_history", "leaderboard", f"orchestrators/{ADDRESS}"),
    ],
)
@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("value", ["abc", "nan", "1790000000000"])
def test_a_moment_that_is_none_is_a_400_that_names_it(
    client: FlaskClient, endpoint: str, name: str, value: str
) -> None:
    response = client.get(f"/api/{endpoint}{'&' if '?' in endpoint else '?'}{name}={value}")
    assert response.status_code == 400
    assert response.json["error"].startswith(f"{name} must be")


@pytest.mark.parametrize("endpoint", ["aggregated_stats", f"raw_stats?orchestrator={ADDRESS}"])
@pytest.mark.parametrize("query", ["since=9&until=5", f"{ASKED}&region=NOWHERE", f"{ASKED}&region=%E2%82%AC"])
def test_what_is_nowhere_is_empty(client: FlaskClient, endpoint: str, query: str) -> None:
    response = client.get(f"/api/{endpoint}{'&' if '?' in endpoint else '?'}{query}")
    assert (response.status_code, response.json) == (200, {})


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_an_answer_is_compressed_where_that_is_asked_for(client: FlaskClient, coding: str) -> None:
    response = client.get("/api/regions", headers={"Accept-Encoding": coding})
    assert response.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in response.headers["Vary"]
    plain = client.get("/api/regions")
    assert len(response.data) < len(plain.data)
    assert response.headers["ETag"] == plain.headers["ETag"]
    if coding == "gzip":
        assert gzip.decompress(response.data) == plain.data
    again = {"Accept-Encoding": coding, "If-None-Match": response.headers["ETag"]}
    assert client.get("/api/regions", headers=again).status_code == 304


def test_transcoding_scores_have_both_their_names_and_stay_within_1(client: FlaskClient) -> None:
    scores = client.get(GETS["aggregated_stats"]).json[ADDRESS.lower()]
    assert set(scores) == {"FRA", "MDW"}
    assert set(scores["FRA"]) == {"success_rate", "round_trip_score", "score", "latency_score", "total_score"}
    assert scores["FRA"]["latency_score"] == scores["FRA"]["round_trip_score"]
    assert scores["FRA"]["total_score"] == scores["FRA"]["score"]
    assert scores["MDW"]["success_rate"] == 1


def test_ai_scores_have_three_fields(client: FlaskClient) -> None:
    scores = client.get(GETS["aggregated_stats, AI"]).json
    assert set(scores[ADDRESS.lower()]["FRA"]) == {"success_rate", "round_trip_score", "score"}


def test_a_result_is_whole_and_its_counts_are_integers(client: FlaskClient) -> None:
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


def test_an_ai_result_is_whole(client: FlaskClient) -> None:
    result = client.get(GETS["raw_stats, AI"]).json["FRA"][0]
    assert result["model_is_warm"] is False
    assert (result["pipeline"], result["model"]) == ("Text to image", "a/b")
    assert "input_parameters" not in result


def test_results_without_a_model_are_all_of_the_pipelines(client: FlaskClient) -> None:
    path = f"/api/raw_stats?{ASKED}&orchestrator={ADDRESS}"
    for query in ("pipeline=Text+to+image", "job_type=ai"):
        assert client.get(f"{path}&{query}").json == client.get(GETS["raw_stats, AI"]).json


@pytest.mark.parametrize("query", ["", "?orchestrator=", "?orchestrator=0xnobody", "?orchestrator=%00"])
def test_nobodys_best_score_is_nothing_with_200(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/top_ai_score{query}")
    assert (response.status_code, response.json) == (200, {})


def test_the_best_score_is_the_aggregated_one(client: FlaskClient, post: Any) -> None:
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


def test_pipelines_are_kept_per_query(client: FlaskClient, database: str) -> None:
    before = client.get(GETS["pipelines"]).json
    assert before == {"pipelines": [{"id": "Text to image", "models": ["a/b"], "regions": ["FRA"]}]}
    load_events(database, [[NOW, ADDRESS, "LAX", "ai", {"pipeline": "Another", "model": "z"}]])
    assert client.get(GETS["pipelines"]).json == before
    assert client.get(f"{GETS['pipelines']}&region=LAX").json["pipelines"] == [
        {"id": "Another", "models": ["z"], "regions": ["LAX"]}
    ]


def test_every_answer_of_scores_suits_a_strict_reader(client: FlaskClient) -> None:
    """As gateways decode it: map[address]map[string]map[string]float64, and nothing else."""
    for path in (GETS["aggregated_stats"], GETS["aggregated_stats, AI"], "/api/aggregated_stats?until=5"):
        for orchestrator, regions in client.get(path).json.items():
            assert len(orchestrator) == 42
            assert orchestrator.startswith("0x")
            assert regions
            for region, scores in regions.items():
                assert region == region.upper()
                assert all(type(value) in (int, float) and 0 <= value <= 1 for value in scores.values())


@pytest.mark.parametrize(
    ("asked", "coding"),
    [("gzip;q=0", None), ("gzip;q=0, *", "zstd"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", None), ("x", None)],
)
def test_a_coding_that_is_refused_is_not_used(client: FlaskClient, asked: str, coding: str | None) -> None:
    response = client.get("/api/regions", headers={"Accept-Encoding": asked})
    assert response.headers.get("Content-Encoding") == coding


@pytest.mark.parametrize("header", ["If-Match", "If-Modified-Since", "If-Unmodified-Since", "Range"])
def test_other_conditions_do_not_change_an_answer(client: FlaskClient, header: str) -> None:
    assert client.get("/api/regions", headers={header: '"x"'}).data == client.get("/api/regions").data


@pytest.mark.parametrize("header", ["*", '"a", {etag}, "b"', "{etag}", '"{bare}"'])
def test_any_form_of_the_etag_is_known_again(client: FlaskClient, header: str) -> None:
    etag = client.get("/api/regions").headers["ETag"]
    asked = header.format(etag=etag, bare=etag[3:-1])
    assert client.get("/api/regions", headers={"If-None-Match": asked}).status_code == 304


@pytest.mark.parametrize("path", ["/api//regions", "//api/regions", "/api/regions//"])
def test_no_path_is_redirected(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_etag_of_many_scores_stays_though_their_last_bits_do_not(database: str) -> None:
    until = datetime(2026, 1, 1, tzinfo=UTC)
    store = Database(database, 60)
    for frame in Simulation(120_000, until - timedelta(days=1), until, ai_share=0).frames():
        writer.copy(store, Regions(store, 0), frame)
    store.close()
    app = create_app(Settings(postgres=database, cache_type="NullCache"))
    asked = f"/api/aggregated_stats?until={until.timestamp()}"
    assert len({app.test_client().get(asked).headers["ETag"] for _ in range(6)}) == 1
    app.extensions["leaderboard"].close()


class TestRowsThatSomebodyElseWrote:
    """They must neither fail an answer nor break its types."""

    MEASURES = {"success_rate": 1, "round_trip_time": 2, "seg_duration": 2}  # noqa: RUF012

    def scores(self, client: FlaskClient, database: str, payload: object, region: str = "LON") -> dict[str, float]:
        load_events(database, [[NOW, ADDRESS, region, "transcoding", payload]])
        return client.get(f"{GETS['aggregated_stats']}&region={region}").json[ADDRESS.lower()][region]

    @pytest.mark.parametrize("payload", [[], "x", None, 5, {}])
    def test_a_payload_that_is_no_result_is_one_without_success(
        self, client: FlaskClient, database: str, payload: object
    ) -> None:
        assert self.scores(client, database, payload)["score"] == 0
        (result,) = client.get(f"{GETS['raw_stats']}&region=LON").json["LON"]
        assert (result["region"], result["success_rate"], result["errors"]) == ("LON", 0, [])

    @pytest.mark.parametrize("value", ["1", None, True, {}, [], -1, 1e13, "-"])
    @pytest.mark.parametrize("field", ["success_rate", "round_trip_time", "seg_duration"])
    def test_a_measure_that_is_none_counts_as_0(
        self, client: FlaskClient, database: str, field: str, value: object
    ) -> None:
        absent = {name: number for name, number in self.MEASURES.items() if name != field}
        expected = self.scores(client, database, absent, "LON")
        assert self.scores(client, database, absent | {field: value}, "NYC") == expected

    @pytest.mark.parametrize("field", ["round_trip_time", "timestamp", "segments_sent"])
    @pytest.mark.parametrize("number", ["1e400", "-1e400", "1e-400", "1e-310"])
    def test_a_number_that_is_no_float_fails_nothing(
        self, client: FlaskClient, database: str, field: str, number: str
    ) -> None:
        self.scores(client, database, self.MEASURES)
        rows(database, f"""UPDATE events SET payload = payload || '{{"{field}": {number}}}'""")
        for path in GETS.values():
            response = client.get(path)
            assert response.status_code == 200
            if "raw" in path:
                assert all(result[field] == 0 for result in response.json.get("LON", ()))
            elif "stats" in path:
                assert "null" not in response.text

    def test_fields_of_a_known_name_have_its_type(self, client: FlaskClient, database: str) -> None:
        odd = {"timestamp": 15.0, "segments_sent": 15.5, "segments_received": "x", "errors": {}, "upload_time": None}
        self.scores(client, database, odd | {"extra": "kept", "none": None})
        (result,) = client.get(f"{GETS['raw_stats']}&region=LON").json["LON"]
        assert [result[name] for name in ("segments_sent", "segments_received", "errors")] == [15, 0, []]
        assert (result["upload_time"], result["extra"], result["none"]) == (0, "kept", None)
        assert (result["timestamp"], type(result["timestamp"])) == (15, int)

    @pytest.mark.parametrize("orchestrator", ["", "hello", "0x123", f" {ADDRESS}"[:42], "0x" + "g" * 40])
    def test_what_is_no_address_is_no_key(self, client: FlaskClient, database: str, orchestrator: str) -> None:
        before = client.get(GETS["aggregated_stats"]).json
        load_events(database, [[NOW, orchestrator, "LON", "transcoding", self.MEASURES]])
        assert client.get(GETS["aggregated_stats"]).json == before

    def test_a_region_in_lower_case_is_answered_and_found_in_upper(self, client: FlaskClient, database: str) -> None:
        rows(database, "UPDATE regions SET name = 'lon' WHERE name = 'LON'")
        load_events(database, [[NOW, ADDRESS, "lon", "transcoding", self.MEASURES]])
        scores = client.get(f"{GETS['aggregated_stats']}&region=LON").json
        assert list(scores[ADDRESS.lower()]) == ["LON"]


def test_times_as_long_as_they_may_be_give_numbers(client: FlaskClient, post: Any) -> None:
    for success, seconds, job in ((1, 1e12, {}), (1, 1e-100, AI_JOB), (1, 0, AI_JOB), (1, 1e12, AI_JOB)):
        body = {"region": "LAX", "orchestrator": ADDRESS, "success_rate": success, "round_trip_time": seconds}
        assert post(body | {"seg_duration": 1e12} | job).status_code == 200
    for query in ("", f"?{AI_QUERY}"):
        scores = client.get(f"/api/aggregated_stats{query}").json[ADDRESS.lower()]["LAX"]
        assert all(0 <= value <= 1 for value in scores.values())


def test_an_error_of_our_own_shows_nothing_of_the_inside(client: FlaskClient, database: str) -> None:
    rows(database, "DROP VIEW event_details; DROP TABLE events")
    response = client.get("/api/aggregated_stats")
    assert response.status_code == 500
    assert response.json == {"error": "unexpected error of the service; see its log"}
    assert response.headers["Cache-Control"] == "no-store"
