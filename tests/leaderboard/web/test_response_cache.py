"""A response is computed once as long as nothing new has come."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_compress import flask_compress

from tests.conftest import load_events, rows
from tests.leaderboard.results.test_posting import ADDRESS, good
from tests.support.serving import wait_until_warm
from tests.support.waiting import eventually

SCORES = "/api/aggregated_stats"


def test_response_is_computed_again_only_after_new_results(
    app: Flask, post: Callable[..., Any], client: FlaskClient, computed: Callable[[], list[str]]
) -> None:
    wait_until_warm(app)
    post(good())
    first = client.get(SCORES)
    assert client.get(SCORES).data == first.data
    assert client.get(f"{SCORES}?region=FRA").status_code == 200
    assert computed() == ["aggregated_stats"] * 2
    for number in range(3):
        post(good(success_rate=0.5))
        score = client.get(SCORES).json[ADDRESS]["FRA"]["success_rate"]
        assert score == pytest.approx((1 + 0.5 * (number + 1)) / (number + 2), abs=1e-9)
    assert len(computed()) == 5


@pytest.mark.slow
def test_event_that_leaves_the_window_leaves_the_response(
    app: Flask, database: str, client: FlaskClient, computed: Callable[[], list[str]]
) -> None:
    wait_until_warm(app)
    # a loaded machine may need longer than an event stays
    for seconds in (4, 8, 16, 32):
        leaves = datetime.now(UTC) + timedelta(seconds=seconds)
        event_time = leaves - timedelta(hours=24)
        load_events(database, [[event_time.timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": 1}]])
        before = len(computed())
        found = [list(client.get(SCORES).json) for _ in range(2)]
        if datetime.now(UTC) < leaves:
            break
    assert found == [[ADDRESS]] * 2
    assert len(computed()) == before + 1
    eventually(lambda: client.get(SCORES).json == {})
    assert datetime.now(UTC) >= leaves


def test_a_thousand_equal_requests_are_computed_once(
    app: Flask, post: Callable[..., Any], computed: Callable[[], list[str]]
) -> None:
    post(good())
    wait_until_warm(app)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: app.test_client().get(SCORES).data, range(1000)))
    assert len(found) == 1
    assert computed() == ["aggregated_stats"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_response_is_compressed_once(
    app: Flask, client: FlaskClient, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    wait_until_warm(app)
    for region in ("FRA", "LON", "MDW", "NYC", "LAX"):
        post(good(region=region))
    compressed: list[str] = []
    compress = flask_compress._compress_data

    def count(app: Flask, data: bytes, algorithm: str) -> Any:
        compressed.append(algorithm)
        return compress(app, data, algorithm)

    monkeypatch.setattr(flask_compress, "_compress_data", count)
    responses = [client.get(SCORES, headers={"Accept-Encoding": coding}) for _ in range(3)]
    assert [response.headers["Content-Encoding"] for response in responses] == [coding] * 3
    assert len({response.data for response in responses}) == 1
    assert compressed == [coding]


def test_different_responses_have_different_etags(client: FlaskClient) -> None:
    paths = (SCORES, f"{SCORES}?pipeline=p&model=m", "/api/top_ai_score", f"/api/raw_stats?orchestrator={ADDRESS}")
    assert len({client.get(path).headers["ETag"] for path in (*paths, "/api/pipelines", "/api/regions")}) == 6


def test_results_are_read_again_only_after_a_change(
    app: Flask, database: str, post: Callable[..., Any], client: FlaskClient, computed: Callable[[], list[str]]
) -> None:
    path = f"/api/raw_stats?orchestrator={ADDRESS}"
    wait_until_warm(app)
    post(good())
    first = client.get(path)
    assert (client.get(path).data, computed()) == (first.data, ["raw_stats"])
    post(good(seg_duration=3))
    assert len(client.get(path).json["FRA"]) == 2
    # no score changes
    rows(database, 'UPDATE events SET payload = payload || \'{"note": "new"}\' WHERE id = 1')
    eventually(lambda: client.get(path).json["FRA"][1].get("note") == "new")
    assert client.get(path).headers["ETag"] != first.headers["ETag"]
