"""Errors quote little of what was sent, and nothing that a terminal or a page obeys."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.leaderboard.results.test_posting import good
from tests.support.endpoints import ADDRESS

MAX_ERROR_BYTES = 700
LONG = "x\x1b[2J\u202e\r\n" + "y" * 5000
"""A terminal would clear its screen, and write from right to left."""
PARAMETERS = [
    "leaderboard?sort={}",
    "leaderboard?order={}",
    "leaderboard?limit={}",
    "leaderboard?min_events={}",
    "leaderboard?cursor={}",
    "leaderboard?format={}",
    "leaderboard?since={}",
    "leaderboard?until={}",
    "leaderboard?job_type={}",
    "score_history?interval={}",
    "pipelines?since={}",
    "orchestrators/{}",
    "{}",
    "regions/{}",
]


def assert_short_and_plain(response: Any, status: int = 400) -> None:
    assert response.status_code == status
    assert len(response.data) <= MAX_ERROR_BYTES
    assert list(response.json) == ["error"]
    assert response.json["error"].isprintable()


@pytest.mark.parametrize("path", PARAMETERS)
@pytest.mark.parametrize("text", [LONG, "9" * 5000], ids=["text", "digits"])
def test_parameter_is_quoted_shortly(client: FlaskClient, path: str, text: str) -> None:
    response = client.get(f"/api/{path.format(quote(text))}")
    assert_short_and_plain(response, 400 if "?" in path or path.startswith("orch") else 404)


@pytest.mark.parametrize(
    "result",
    [
        good(region=LONG),
        good(orchestrator=LONG),
        good(**{LONG: float("nan")}),
        good(**{LONG: "\0"}),
        good(**{LONG: "\ud800"}),
        good(**{LONG: json.loads("[" * 200 + "]" * 200)}),
        good(success_rate=LONG),
        good(errors=[{"count": LONG}]),
        good(model=LONG, pipeline="p"),
        b"[" + good(region=LONG) + b"]",
        json.dumps(LONG).encode(),
    ],
    ids=["region", "address", "NaN", "NUL", "surrogate", "depth", "number", "count", "name", "batch", "text"],
)
def test_result_is_quoted_shortly(post: Callable[..., Any], result: bytes) -> None:
    assert_short_and_plain(post(result))


@pytest.mark.parametrize("method", ["PUT", "X" * 5000])
def test_method_is_not_repeated(client: FlaskClient, method: str) -> None:
    assert_short_and_plain(client.open("/api/regions", method=method), 405)


@pytest.mark.parametrize(
    "header", ["Range", "If-Range", "If-None-Match", "If-Modified-Since", "Accept", "Accept-Encoding"]
)
def test_headers_are_not_repeated(client: FlaskClient, header: str) -> None:
    path = f"/api/raw_stats?orchestrator={ADDRESS}&format=csv"
    for value in ("y" * 5000, "bytes=" + "9" * 5000 + "-", 'W/"' + "y" * 5000):
        response = client.get(path, headers={header: value})
        assert response.status_code in (200, 206, 304, 416)
        assert len(response.data) < 5000
