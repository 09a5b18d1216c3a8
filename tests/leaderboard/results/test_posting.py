"""Posting: results are stored as posted, and a refused body changes nothing."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from tests.conftest import SECRET, clone, rows

ADDRESS = "0x" + "a" * 40
GOOD = {"region": "FRA", "orchestrator": ADDRESS, "success_rate": 1, "timestamp": 1790000000}
AI_JOB = {"pipeline": "LLM", "model": "m"}
Post = Callable[..., Any]


def good(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


def with_text(text: str) -> bytes:
    """A good result with more of its JSON text."""
    return good()[:-1] + b", " + text.encode() + b"}"


# body, expected status, and what the error sentence must name
BAD_BODIES = {
    "nothing": (b"", 400, "JSON"),
    "no JSON": (b"hello", 400, "JSON"),
    "half a document": (good()[:-1], 400, "JSON"),
    "something after the document": (good() + b" x", 400, "JSON"),
    "a comma too many": (good()[:-1] + b",}", 400, "JSON"),
    "not UTF-8": (good()[:-1] + b', "x": "\xff"}', 400, "UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + good(), 400, "JSON"),
    "a list of lists": (b"[[]]", 400, "results[0]: the body must be a JSON object"),
    "an empty list": (b"[]", 400, "1 to 10000 results, not 0"),
    "a list that breaks off": (b"[" + good() + b",", 400, "JSON array"),
    "text": (b'"x"', 400, "object"),
    "null": (b"null", 400, "object"),
    "nested too deeply": (with_text('"x": ' + "[" * 5000 + "]" * 5000), 400, "nested"),
    "an empty object": (b"{}", 400, "region"),
    "no region": (json.dumps({"orchestrator": ADDRESS}).encode(), 400, "region"),
    "no orchestrator": (json.dumps({"region": "FRA"}).encode(), 400, "orchestrator"),
    "an unknown region": (good(region="XXX"), 400, "region"),
    "an empty region": (good(region=""), 400, "region"),
    "a region that is a number": (good(region=1), 400, "region"),
    "a region that is null": (good(region=None), 400, "region"),
    "a region of the other job type": (good(region="LON", **AI_JOB), 400, "region"),
    "an orchestrator that is a number": (good(orchestrator=5), 400, "orchestrator"),
    "an empty orchestrator": (good(orchestrator=""), 400, "orchestrator"),
    "an address that is too short": (good(orchestrator=ADDRESS[:-1]), 400, "orchestrator"),
    "an address that is too long": (good(orchestrator=ADDRESS + "a"), 400, "orchestrator"),
    "an address without 0x": (good(orchestrator="a" * 42), 400, "orchestrator"),
    "an address that is not hexadecimal": (good(orchestrator="0x" + "g" * 40), 400, "orchestrator"),
    "an address with a line after it": (good(orchestrator=ADDRESS + "\n"), 400, "orchestrator"),
    "a success_rate in text": (good(success_rate="1"), 400, "success_rate"),
    "a success_rate of null": (good(success_rate=None), 400, "success_rate"),
    "a success_rate of true": (good(success_rate=True), 400, "success_rate"),
    "a success_rate below 0": (good(success_rate=-0.1), 400, "success_rate"),
    "a round_trip_time that is NaN": (good(round_trip_time=float("nan")), 400, "round_trip_time"),
    "a round_trip_time that is infinite": (good(round_trip_time=float("inf")), 400, "round_trip_time"),
    "a round_trip_time past all numbers": (with_text('"round_trip_time": 1e999'), 400, "round_trip_time"),
    "a seg_duration below 0": (good(seg_duration=-1), 400, "seg_duration"),
    "an upload_time in a list": (good(upload_time=[1]), 400, "upload_time"),
    "a download_time in an object": (good(download_time={}), 400, "download_time"),
    "a transcode_time in text": (good(transcode_time=""), 400, "transcode_time"),
    "a fraction of a segment sent": (good(segments_sent=1.5), 400, "segments_sent"),
    "fewer than no segments received": (good(segments_received=-1), 400, "segments_received"),
    "a timestamp with a fraction": (good(timestamp=1.5), 400, "timestamp"),
    "a timestamp in text": (good(timestamp="now"), 400, "timestamp"),
    "a timestamp past all integers": (good(timestamp=2**63), 400, "timestamp"),
    "errors that are no list": (good(errors="none"), 400, "errors"),
    "an error that is no object": (good(errors=["bad"]), 400, "errors[0]"),
    "an error code that is a number": (good(errors=[{"error_code": 5}]), 400, "errors[0].error_code"),
    "an error without a whole count": (good(errors=[{}, {"count": 0.5}]), 400, "errors[1].count"),
    "an error message that is no text": (good(errors=[{"message": {}}]), 400, "errors[0].message"),
    "a model that is a number": (good(model=1), 400, "model"),
    "a pipeline that is null": (good(pipeline=None), 400, "pipeline"),
    "model_is_warm as a number": (good(model_is_warm=1), 400, "model_is_warm"),
    "input_parameters as an object": (good(input_parameters={}), 400, "input_parameters"),
    "response_payload as a list": (good(response_payload=[]), 400, "response_payload"),
    "NUL in a field": (good(response_payload="a\0b"), 400, "response_payload"),
    "NUL in an unknown field": (good(extra={"deep": ["\0"]}), 400, "extra.deep[0]"),
    "NUL in a name": (good(**{"na\0me": 1}), 400, "na\\u0000me"),
    "half a character": (with_text('"extra": "\\ud800"'), 400, "extra"),
    "an infinity in an unknown field": (with_text('"extra": [-Infinity]'), 400, "extra[0]"),
    "a round_trip_time too small for a float": (with_text('"round_trip_time": 1e-400'), 400, "round_trip_time"),
    "a round_trip_time of a billion years": (good(round_trip_time=1e16), 400, "round_trip_time"),
    "a number of thousands of digits": (with_text('"extra": {"deep": 1e-16383}'), 400, "extra.deep"),
    "a 0 of thousands of digits": (with_text('"extra": 0e-16383'), 400, "extra"),
    "a model too long for an index": (good(model="é" * 513), 400, "model"),
    "a pipeline too long for an index": (good(pipeline="x" * 513), 400, "pipeline"),
    "one byte more than a mebibyte": (good(extra="x" * (2**20 - len(good(extra="")) + 1)), 413, "1048576"),
}


@pytest.fixture(scope="module")
def read_only_service(server: str, template: str) -> Iterator[tuple[FlaskClient, str]]:
    """A service that tests share, because invalid bodies change nothing."""
    url = clone(server, template, "untouched")
    app = create_app(Settings(lake_sync_interval=0, postgres=url, secret=SECRET))
    yield app.test_client(), url
    app.extensions["leaderboard"].close()


@pytest.mark.parametrize(("body", "status", "named"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_invalid_body_is_refused_with_its_reason(
    read_only_service: tuple[FlaskClient, str], body: bytes, status: int, named: str
) -> None:
    client, url = read_only_service
    response = client.post("/api/post_stats", data=body, headers={"Authorization": sign(SECRET, body)})
    assert (response.status_code, list(response.json)) == (status, ["error"])
    assert named in response.json["error"]
    assert response.headers["Cache-Control"] == "no-store"
    assert rows(url, "SELECT * FROM events") == []
    assert len(rows(url, "SELECT * FROM regions")) == 28


@pytest.mark.parametrize(
    "signature",
    ["", "x", sign("other", good()), sign(SECRET, good() + b" "), "é", f"Bearer {sign(SECRET, good())}"],
    ids=["none", "nonsense", "another secret", "another body", "not ASCII", "a scheme before it"],
)
def test_unsigned_body_is_forbidden(client: FlaskClient, database: str, signature: str) -> None:
    response = client.post(
        "/api/post_stats", data=good(), headers={"Authorization": signature.encode().decode("latin-1")}
    )
    assert response.status_code == 403
    assert "Authorization" in response.json["error"]
    assert rows(database, "SELECT * FROM events") == []


def test_signature_is_checked_before_the_body(client: FlaskClient) -> None:
    assert client.post("/api/post_stats", data=b"hello").status_code == 403


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_other_methods_are_not_allowed(client: FlaskClient, method: str) -> None:
    response = getattr(client, method)("/api/post_stats", data=good())
    assert response.status_code == 405
    assert "POST" in response.json["error"]
    assert "POST" in response.headers["Allow"]


class TestWithoutSecret:
    @pytest.fixture
    def settings(self, database: str) -> Settings:
        return Settings(lake_sync_interval=0, postgres=database)

    def test_posting_is_off(self, post: Post) -> None:
        response = post(good())
        assert response.status_code == 403
        assert "SECRET" in response.json["error"]


def test_result_is_stored(post: Post, database: str) -> None:
    response = post(good())
    assert (response.status_code, response.text) == (200, "ok")
    assert response.headers["Content-Type"].startswith("text/plain")
    ((orchestrator, region, job_type, payload, age),) = rows(
        database,
        "SELECT orchestrator, region_name, job_type_name, payload, extract(epoch FROM now() - event_time) "
        "FROM event_details",
    )
    assert (orchestrator, region, job_type, payload) == (ADDRESS, "FRA", "transcoding", GOOD)
    assert 0 <= age < 60


def test_signature_in_upper_case_is_accepted(client: FlaskClient) -> None:
    headers = {"Authorization": sign(SECRET, good()).upper()}
    assert client.post("/api/post_stats", data=good(), headers=headers).status_code == 200


def test_addresses_are_stored_in_lower_case_and_regions_in_upper(post: Post, database: str) -> None:
    assert post(good(orchestrator="0x" + "aB" * 20, region="fra")).status_code == 200
    ((orchestrator, payload),) = rows(database, "SELECT orchestrator, payload FROM events")
    assert orchestrator == payload["orchestrator"] == "0x" + "ab" * 20
    assert payload["region"] == "FRA"


@pytest.mark.parametrize(
    ("fields", "job_type"),
    [
        (AI_JOB, "ai"),
        ({"model": "m"}, "transcoding"),
        ({"pipeline": "p"}, "transcoding"),
        ({"pipeline": "", "model": ""}, "transcoding"),
        ({}, "transcoding"),
    ],
)
def test_result_with_model_and_pipeline_is_ai(post: Post, database: str, fields: dict[str, str], job_type: str) -> None:
    assert post(good(**fields)).status_code == 200
    assert rows(database, "SELECT job_type_name FROM event_details") == [(job_type,)]


def test_unknown_fields_are_stored_as_posted(post: Post, client: FlaskClient) -> None:
    extra = (
        '"big": 123456789012345678901234567890, "price": 1.50, "deep": {"a": [null, "é", "\\u00e9<b>"]}, "none": null'
    )
    assert post(with_text(extra)).status_code == 200
    text = client.get(f"/api/raw_stats?orchestrator={ADDRESS}").text
    assert '"big":123456789012345678901234567890' in text.replace(" ", "")
    assert '"price":1.50' in text.replace(" ", "")
    result = json.loads(text)["FRA"][0]
    assert result["deep"] == {"a": [None, "é", "é<b>"]}
    assert result["none"] is None


def test_missing_errors_and_null_become_an_empty_list(post: Post, client: FlaskClient) -> None:
    post(good())
    post(good(errors=None))
    results = client.get(f"/api/raw_stats?orchestrator={ADDRESS}").json["FRA"]
    assert [result["errors"] for result in results] == [[], []]


def test_body_of_a_mebibyte_is_stored(post: Post) -> None:
    body = good(extra="x" * (2**20 - len(good(extra=""))))
    assert len(body) == 2**20
    assert post(body).status_code == 200


def test_names_of_the_maximum_length_are_stored(post: Post) -> None:
    names = {name: "".join(chr(0x10000 + 7919 * number) for number in range(128)) * 4 for name in AI_JOB}
    assert post(good(**names)).status_code == 200


def test_same_result_twice_is_two_results(post: Post, database: str) -> None:
    post(good())
    post(good())
    assert len(rows(database, "SELECT * FROM events")) == 2


def test_deleted_region_is_refused_until_it_is_back(post: Post, database: str) -> None:
    post(good())
    rows(database, "DELETE FROM events")
    rows(database, "DELETE FROM regions WHERE name = 'FRA'")
    assert "region" in post(good()).json["error"]
    rows(database, "INSERT INTO regions (name, display_name, job_type_id) VALUES ('FRA', 'Frankfurt', 1)")
    assert post(good()).status_code == 200


def test_fault_of_the_database_does_not_blame_the_result(post: Post, database: str) -> None:
    post(good())
    rows(database, "SELECT setval('events_id_seq', 1, false)")
    response = post(good())
    assert response.status_code == 500
    assert "region" not in response.json["error"]


@pytest.mark.parametrize(("depth", "status"), [(90, 200), (200, 400), (800, 400)])
def test_nesting_is_limited(post: Post, depth: int, status: int) -> None:
    response = post(with_text(f'"extra": {"[" * depth}{"]" * depth}'))
    assert response.status_code == status
    assert status == 200 or "nested too deeply" in response.json["error"]


def test_full_disk_is_unavailable(post: Post, database: str) -> None:
    rows(
        database,
        """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
           CREATE TRIGGER full_disk BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION full_disk()""",
    )
    response = post(good())
    assert response.status_code == 503
    assert "space" not in response.json["error"]
    assert "Retry-After" in response.headers
