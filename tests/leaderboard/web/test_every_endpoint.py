"""The rules that hold for every endpoint."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from leaderboard.web.responses import CACHE_CONTROL
from tests.conftest import clone
from tests.support.endpoints import ADDRESS, AT_NOW, GETS, load_endpoint_events

every_get = pytest.mark.parametrize("path", GETS.values(), ids=GETS.keys())


@pytest.fixture(scope="module")
def client(server: str, template: str) -> Iterator[FlaskClient]:
    """The client of one service for all tests, as none of them writes."""
    url = clone(server, template, "endpoints")
    load_endpoint_events(url)
    app = create_app(Settings(lake_sync_interval=0, postgres=url))
    yield app.test_client()
    app.extensions["leaderboard"].close()


@every_get
def test_good_response_is_json_with_caching_headers_and_etag(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert CACHE_CONTROL == "public, max-age=30, stale-while-revalidate=15"
    assert response.headers["Cache-Control"] == ("no-store" if path == GETS["health"] else CACHE_CONTROL)
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
def test_spellings_of_a_path_are_equivalent(client: FlaskClient, path: str, variant: str) -> None:
    place, _, query = path.partition("?")
    spelled = {
        "slash": f"{place}/?{query}",
        "query": f"{place}?{query}",
        "ampersand": f"{place}?{query}&",
        "unknown": f"{place}?{query}&unknown=1",
    }[variant]
    assert client.get(spelled).json == client.get(path).json


@pytest.mark.parametrize("path", [*GETS.values(), "/api/post_stats"])
def test_preflight_allows_any_origin(client: FlaskClient, path: str) -> None:
    origin = {"Origin": "https://explorer.example", "Access-Control-Request-Method": "GET"}
    response = client.options(path, headers=origin)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    allowed = response.headers["Access-Control-Allow-Headers"]
    assert allowed.startswith("Accept, Content-Type, Content-Length, Accept-Encoding, Authorization, Range, ")


@pytest.mark.parametrize("endpoint", ["aggregated_stats", f"raw_stats?orchestrator={ADDRESS}"])
@pytest.mark.parametrize("query", ["since=9&until=5", f"{AT_NOW}&region=NOWHERE", f"{AT_NOW}&region=%E2%82%AC"])
def test_empty_window_or_unknown_region_returns_empty(client: FlaskClient, endpoint: str, query: str) -> None:
    response = client.get(f"/api/{endpoint}{'&' if '?' in endpoint else '?'}{query}")
    assert (response.status_code, response.json) == (200, {})


@pytest.mark.parametrize("header", ["If-Match", "If-Modified-Since", "If-Unmodified-Since", "Range"])
def test_other_conditional_headers_are_ignored(client: FlaskClient, header: str) -> None:
    response = client.get("/api/regions", headers={header: '"x"'})
    assert (response.status_code, response.data) == (200, client.get("/api/regions").data)


@pytest.mark.parametrize("header", ["*", '"a", {etag}, "b"', "{etag}", '"{bare}"'])
def test_if_none_match_takes_any_form_of_the_etag(client: FlaskClient, header: str) -> None:
    etag = client.get("/api/regions").headers["ETag"]
    asked = header.format(etag=etag, bare=etag[3:-1])
    assert client.get("/api/regions", headers={"If-None-Match": asked}).status_code == 304
