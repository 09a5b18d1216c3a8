"""Real results and captured requests of real clients, over real connections."""

import http.client
import json
import math
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import DATA, clone, rows, sample
from tests.support.commands import LEADERBOARD
from tests.support.service import HttpResponse, RunningService

pytestmark = pytest.mark.slow

TRANSCODING = [result for results in sample("raw-transcoding-2021-09-25.json").values() for result in results]
AI = [result for results in sample("raw-ai-2024-09.json").values() for result in results]
SINGLE = [sample("result-transcoding.json"), sample("result-ai-failed.json")]
REQUESTS = [json.loads(line) for line in (DATA / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
POSTS = [request for request in REQUESTS if request["method"] == "POST"]
GETS = [request for request in REQUESTS if request["method"] == "GET"]


@pytest.fixture
def service(database: str) -> Iterator[RunningService]:
    with RunningService({"POSTGRES": database}) as service:
        yield service


@pytest.fixture(scope="module")
def shared_service(server: str, template: str) -> Iterator[RunningService]:
    """A service for tests that do not look at what is stored."""
    with RunningService({"POSTGRES": clone(server, template, "real_clients")}) as service:
        yield service


def results_of(
    service: RunningService, results: list[dict[str, Any]], query: str = ""
) -> dict[str, list[dict[str, Any]]]:
    (orchestrator,) = {result["orchestrator"] for result in results}
    return service.get(f"/api/raw_stats?orchestrator={orchestrator}{query}").json


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_real_results_are_stored_returned_and_scored(service: RunningService) -> None:
    assert (len(TRANSCODING), len(AI)) == (21, 3)
    for result in [*TRANSCODING, *AI, *SINGLE]:
        response = service.post(result)
        assert (response.status, response.body) == (200, b"ok")

    for posted, query in (
        (TRANSCODING, ""),
        (AI, "&pipeline=Image%20to%20video&model=stabilityai/stable-video-diffusion-img2vid-xt-1-1"),
    ):
        by_region: dict[str, list[dict[str, Any]]] = {}
        for result in posted:
            by_region.setdefault(result["region"], []).insert(0, result)
        assert results_of(service, posted, query) == by_region

    (transcoding,), (failed,) = (
        results_of(service, SINGLE[:1])["MDW"],
        results_of(service, SINGLE[1:], "&job_type=ai")["MDW"],
    )
    assert transcoding == SINGLE[0]
    assert failed == SINGLE[1] | {"model_is_warm": False}

    scores = service.get("/api/aggregated_stats").json[TRANSCODING[0]["orchestrator"]]
    assert len(scores) == 7
    for region, fields in scores.items():
        of_region = [result for result in TRANSCODING if result["region"] == region]
        success = mean([result["success_rate"] for result in of_region])
        ratio = mean([r["seg_duration"] for r in of_region]) / mean([r["round_trip_time"] for r in of_region])
        latency = 1 - math.exp(-ratio)
        expected = {
            "success_rate": success,
            "round_trip_score": latency,
            "score": success * latency,
            "latency_score": latency,
            "total_score": success * latency,
        }
        assert fields == pytest.approx(expected, abs=1e-9)

    job = "pipeline=Image%20to%20video&model=stabilityai/stable-video-diffusion-img2vid-xt-1-1"
    scores = service.get(f"/api/aggregated_stats?{job}").json[AI[0]["orchestrator"]]
    median = sorted(result["round_trip_time"] for result in AI)[1]
    for region, fields in scores.items():
        latency = 0.8 ** (mean([r["round_trip_time"] for r in AI if r["region"] == region]) / median)
        expected = {"success_rate": 1, "round_trip_score": latency, "score": 0.65 + 0.35 * latency}
        assert fields == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["aggregated-transcoding-2023-09.json", "aggregated-ai.json"])
def test_recorded_scores_follow_the_formulas(name: str) -> None:
    for regions in sample(name).values():
        for scores in regions.values():
            success, latency = scores["success_rate"], scores["round_trip_score"]
            score = 0.65 * success + 0.35 * latency if "ai" in name else success * latency
            assert scores["score"] == pytest.approx(score, abs=1e-9)


def bytes_of(request: dict[str, Any], connection: str = "close") -> bytes:
    body = request["body"].encode()
    headers = {"Host": "leaderboard"} | request["headers"] | {"Connection": connection}
    if request["method"] == "POST":
        headers["Content-Length"] = str(len(body))
    lines = [f"{request['method']} {request['target']} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_captured_posts_are_stored_as_posted_unless_a_byte_changed(service: RunningService, database: str) -> None:
    assert len(POSTS) == 12
    for request in POSTS:
        changed = request | {"body": request["body"].replace('"timestamp":1', '"timestamp":2')}
        assert service.send_bytes(bytes_of(changed)).status == 403
    for request in POSTS:
        response = service.send_bytes(bytes_of(request))
        assert (response.status, response.body) == (200, b"ok")
    stored = [payload for (payload,) in rows(database, "SELECT payload FROM events ORDER BY id")]
    assert stored == [json.loads(request["body"]) for request in POSTS]


def test_captured_gets_are_answered(shared_service: RunningService) -> None:
    for request in POSTS:
        shared_service.send_bytes(bytes_of(request))
    assert len(GETS) == 17
    for request in GETS:
        response = shared_service.send_bytes(bytes_of(request))
        refused = request["target"] in (
            "/api/aggregated_stats?pipeline=llm",
            "/api/aggregated_stats?model=somemodel",
            "/api/raw_stats",
        )
        assert response.status == (400 if refused else 200), request
        assert_read_by_clients(request["target"], response)


def assert_read_by_clients(target: str, response: HttpResponse) -> None:
    document = response.json
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    if response.status == 400:
        assert list(document) == ["error"]
    elif target.startswith("/api/aggregated_stats"):
        assert all(
            isinstance(score, (int, float))
            for regions in document.values()
            for scores in regions.values()
            for score in scores.values()
        )
    elif target.startswith("/api/pipelines"):
        assert all(set(pipeline) == {"id", "models", "regions"} for pipeline in document["pipelines"])
    elif target.startswith("/api/raw_stats"):
        assert all(isinstance(result["errors"], list) for results in document.values() for result in results)


def chunked(request: dict[str, Any], *chunks: bytes) -> bytes:
    head = bytes_of(request | {"body": ""}).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    return head + b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in (*chunks, b""))


def test_chunked_body_is_accepted(shared_service: RunningService) -> None:
    body = POSTS[0]["body"].encode()
    assert shared_service.send_bytes(chunked(POSTS[0], body[:7], body[7:])).status == 200


def test_chunked_body_that_is_too_large_is_a_413_and_no_403(shared_service: RunningService) -> None:
    assert shared_service.send_bytes(chunked(POSTS[0], b"x" * 2**24, b"x")).status == 413


@pytest.mark.parametrize("rest", [b"zz\r\n", b"5\r\nab", b""], ids=["invalid size", "half a chunk", "no end"])
@pytest.mark.parametrize(("target", "status"), [("/api/post_stats", 400), ("/api/nothing", 404)])
def test_incomplete_body_is_a_client_error(
    shared_service: RunningService, rest: bytes, target: str, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", shared_service.port), timeout=60) as connection:
        connection.sendall(chunked(POSTS[0] | {"target": target}).removesuffix(b"0\r\n\r\n") + rest)
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == status
        assert "error" in json.loads(response.read())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /api/regions?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /api/regions HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"POST /api/post_stats HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
    ],
    ids=["long path", "long header", "invalid length", "no request"],
)
def test_gunicorn_refuses_requests_with_the_error_body(
    shared_service: RunningService, request_bytes: bytes, status: int
) -> None:
    response = shared_service.send_bytes(request_bytes)
    assert response.status == status
    assert list(response.json) == ["error"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "no-store"


def test_stalled_clients_lose_their_threads(database: str) -> None:
    with RunningService({"POSTGRES": database}, [*LEADERBOARD, "serve", "--workers", "1", "--threads", "2"]) as service:
        request = bytes_of(POSTS[0])
        # as many as there are threads: one stops in its head, one in its body
        stalled = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(2)]
        for connection, sent in zip(stalled, (request[:30], request[:-1]), strict=True):
            connection.sendall(sent)
        assert service.get("/api/health").status == 200
        for connection in stalled:
            connection.close()


def test_body_that_is_too_large_is_a_413_that_names_the_limit(shared_service: RunningService) -> None:
    for size in (2**20 + 1, 2**23):
        response = shared_service.post(b"x" * size)
        assert response.status == 413
        assert "1048576" in response.json["error"]
