"""Answers are computed once for as long as nothing new has come, and kept wherever the settings say."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fakeredis import TcpFakeServer
from flask import Flask
from flask.testing import FlaskClient
from flask_compress import flask_compress

from leaderboard.app import create_app
from leaderboard.settings import Settings, SettingsError
from leaderboard.web import responses
from queries.times import to_micros
from tests.conftest import SECRET, clone, load_events, rows
from tests.leaderboard.results.test_posting import ADDRESS, good

SCORES = "/api/aggregated_stats"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the questions that are computed."""
    names: list[str] = []
    ask = responses.ask

    def counted(question: Callable[..., Any], *rest: Any) -> Any:
        names.append(question.__name__)
        return ask(question, *rest)

    monkeypatch.setattr(responses, "ask", counted)
    return names


def warm(app: Flask) -> None:
    """Returns once the app holds its warm window."""
    live = app.extensions["leaderboard"].live_events
    while live._held is None or live._held.since > to_micros(datetime.now(UTC) - timedelta(hours=24)):
        threading.Event().wait(0.01)


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    try:
        warm(app)
        yield app.test_client()
    finally:
        app.extensions["leaderboard"].close()


def test_an_answer_is_computed_again_only_when_there_is_something_new(
    app: Flask, post: Callable[..., Any], client: FlaskClient, computed: list[str]
) -> None:
    warm(app)
    post(good())
    first = client.get(SCORES)
    assert client.get(SCORES).data == first.data
    assert client.get(f"{SCORES}?region=FRA").status_code == 200
    assert computed == ["aggregated_stats"] * 2
    for number in range(3):
        post(good(success_rate=0.5))
        score = client.get(SCORES).json[ADDRESS]["FRA"]["success_rate"]
        assert score == pytest.approx((1 + 0.5 * (number + 1)) / (number + 2), abs=1e-9)
    assert len(computed) == 5


@pytest.mark.slow
def test_an_event_that_leaves_the_window_leaves_the_answer(
    app: Flask, database: str, client: FlaskClient, computed: list[str]
) -> None:
    warm(app)
    moment = datetime.now(UTC) - timedelta(hours=24) + timedelta(seconds=8)
    load_events(database, [[moment.timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": 1}]])
    assert list(client.get(SCORES).json) == [ADDRESS]
    assert list(client.get(SCORES).json) == [ADDRESS]
    assert len(computed) == 1
    threading.Event().wait(8)
    assert client.get(SCORES).json == {}


def test_a_thousand_equal_requests_cost_one(app: Flask, post: Callable[..., Any], computed: list[str]) -> None:
    post(good())
    warm(app)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: app.test_client().get(SCORES).data, range(1000)))
    assert len(found) == 1
    assert computed == ["aggregated_stats"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_an_answer_is_compressed_once(
    app: Flask, client: FlaskClient, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, coding: str
) -> None:
    warm(app)
    for region in ("FRA", "LON", "MDW", "NYC", "LAX"):
        post(good(region=region))
    done: list[str] = []
    compress = flask_compress._compress_data
    monkeypatch.setattr(
        flask_compress,
        "_compress_data",
        lambda app, data, algorithm: done.append(algorithm) or compress(app, data, algorithm),
    )
    responses = [client.get(SCORES, headers={"Accept-Encoding": coding}) for _ in range(3)]
    assert [response.headers["Content-Encoding"] for response in responses] == [coding] * 3
    assert len({response.data for response in responses}) == 1
    assert done == [coding]


def test_answers_that_differ_have_other_names(client: FlaskClient) -> None:
    paths = (SCORES, f"{SCORES}?pipeline=p&model=m", "/api/top_ai_score", f"/api/raw_stats?orchestrator={ADDRESS}")
    assert len({client.get(path).headers["ETag"] for path in (*paths, "/api/pipelines", "/api/regions")}) == 6


class TestSharedCaches:
    """Several machines share what one of them has computed."""

    @pytest.fixture
    def redis(self) -> Iterator[TcpFakeServer]:
        server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        server.server_close()

    def shared(self, settings: Settings, computed: list[str]) -> None:
        load_events(settings.postgres, [[datetime.now(UTC).timestamp(), ADDRESS, "FRA", "transcoding", {}]])
        with serving(settings) as one, serving(settings) as other:
            assert one.get(SCORES).data == other.get(SCORES).data
            assert computed == ["aggregated_stats"]

    def test_in_a_folder(self, database: str, tmp_path: Path, computed: list[str]) -> None:
        settings = Settings(postgres=database, secret=SECRET, cache_type="FileSystemCache", cache_dir=tmp_path)
        self.shared(settings, computed)

    def test_in_redis(self, database: str, redis: TcpFakeServer, computed: list[str]) -> None:
        url = f"redis://127.0.0.1:{redis.server_address[1]}/0"
        self.shared(Settings(postgres=database, cache_type="RedisCache", cache_redis_url=url), computed)

    def test_two_databases_do_not_share(self, database: str, server: str, template: str, tmp_path: Path) -> None:
        other = clone(server, template, "other_answers")
        load_events(other, [[datetime.now(UTC).timestamp(), ADDRESS, "FRA", "transcoding", {}]])
        load_events(database, [[datetime.now(UTC).timestamp(), "0x" + "c" * 40, "FRA", "transcoding", {}]])
        found = []
        for url in (database, other):
            with serving(Settings(postgres=url, cache_type="FileSystemCache", cache_dir=tmp_path)) as client:
                found += client.get(SCORES).json
        assert found == ["0x" + "c" * 40, ADDRESS]

    def test_a_cache_that_is_away_costs_time_and_no_answer(
        self, database: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = Settings(postgres=database, cache_type="RedisCache", cache_redis_url="redis://127.0.0.1:1/0")
        with serving(settings) as client:
            assert client.get(SCORES).json == {}
            assert client.get("/api/regions").status_code == 200
        assert "the cache of answers cannot be used now" in caplog.text

    def test_a_cache_that_cannot_be_is_told_at_the_start(self, database: str) -> None:
        with pytest.raises(SettingsError, match="CACHE_TYPE FileSystemCache cannot be used"):
            create_app(Settings(postgres=database, cache_type="FileSystemCache", cache_dir=Path("/dev/null/x")))


def test_a_long_answer_is_sent_while_it_is_made(database: str, client: FlaskClient) -> None:
    now = datetime.now(UTC).timestamp()
    events = [
        [now - number, ADDRESS, ("FRA", "LON")[number % 3 > 0], "transcoding", {"number": number, "note": "x" * 500}]
        for number in range(5000)
    ]
    load_events(database, events)
    path = f"/api/raw_stats?orchestrator={ADDRESS}"
    response = client.get(path)
    assert response.is_streamed
    assert "Content-Length" not in response.headers
    found = response.json
    assert list(found) == ["FRA", "LON"]
    assert [r["number"] for r in found["FRA"]] == [*range(0, 5000, 3)]
    assert [r["number"] for r in found["LON"]] == [number for number in range(5000) if number % 3]
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert client.head(path).data == b""
    for coding in ("gzip", "br", "zstd"):
        sort_and_encode = client.get(path, headers={"Accept-Encoding": coding})
        assert sort_and_encode.headers["Content-Encoding"] == coding
        assert len(sort_and_encode.data) < len(response.data) / 5
    rows(database, 'UPDATE events SET payload = payload || \'{"note": "y"}\' WHERE id = 4000')
    assert client.get(path).headers["ETag"] != response.headers["ETag"]
