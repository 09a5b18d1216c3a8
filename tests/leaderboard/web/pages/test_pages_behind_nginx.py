"""The pages and the API behind nginx, with the configuration that the documentation recommends."""

import re
from collections.abc import Iterable, Iterator
from html import unescape
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from benchmarks.trust.processes.nginx import running_nginx
from tests.leaderboard.web.pages.conftest import FIRST
from tests.support.programs import require_program
from tests.support.service import RunningService

WINDOW = "since=2020-01-01&until=2040-01-01"
HEADERS = [
    {"Accept": accept, "Accept-Encoding": coding} | extra
    for accept in ("*/*", "text/csv")
    for coding in ("identity", "gzip")
    for extra in ({}, {"Range": "bytes=5-20"}, {"If-None-Match": "*"}, {"If-Match": '"1"'})
]
"""Those of requests that ask for one thing in several ways."""


@pytest.fixture(scope="module")
def proxy(pages: FlaskClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an nginx in front of the pages."""
    require_program("nginx")
    server = make_server("127.0.0.1", 0, pages.application, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        with running_nginx(tmp_path_factory.mktemp("nginx"), server.server_port) as port:
            yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(url: str, **headers: str) -> str:
    with urlopen(Request(url, headers=headers)) as response:
        return response.read().decode()


def links_of(html: str) -> set[str]:
    return {unescape(link) for link in re.findall(r'(?:href|src|action)="(/[^"#]*)', html)}


def test_links_lead_through_the_path_of_the_proxy(proxy: str) -> None:
    html = fetch(f"{proxy}/leaderboard/gateway?region=FRA")
    assert {link.split("/")[1] for link in links_of(html)} == {"leaderboard"}
    for name in ("style.css", "formulas", "api/gateway_preview"):
        (link,) = [link for link in links_of(html) if name in link and "format=json" not in link][:1]
        assert fetch(proxy + link)


def test_addresses_to_copy_are_those_of_the_proxy(proxy: str) -> None:
    html = unescape(fetch(f"{proxy}/leaderboard/gateway?region=FRA"))
    (url,) = re.findall("-orchPerfStatsUrl '([^']*)'", html)
    assert url.startswith(f"{proxy}/leaderboard/api/")
    assert fetch(url).startswith("{")


def test_prefix_of_a_client_does_not_count(proxy: str) -> None:
    html = fetch(f"{proxy}/gateway?region=FRA", **{"X-Forwarded-Prefix": "/elsewhere"})
    assert "elsewhere" not in html
    assert "/formulas?region=FRA" in links_of(html)


def test_path_for_readers_takes_no_posts(proxy: str) -> None:
    with pytest.raises(HTTPError) as raised:
        urlopen(Request(f"{proxy}/leaderboard/api/post_stats", data=b"{}"))
    with raised.value as error:
        assert error.code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/api/regions",
        f"/api/aggregated_stats?{WINDOW}",
        f"/api/leaderboard?{WINDOW}&limit=1",
        f"/api/raw_stats?orchestrator={FIRST}&{WINDOW}",
        f"/api/score_history?{WINDOW}&interval=1d",
        "/static/style.css",
    ],
)
def test_answers_are_those_of_the_service(proxy: str, pages: FlaskClient, path: str) -> None:
    through_nginx = RunningService({}, port=int(proxy.rpartition(":")[2]))
    for headers in HEADERS:
        own = pages.get(path, headers=headers, base_url=proxy)
        # the second one may be a kept one
        for _ in range(2):
            response = through_nginx.get(path, **headers)
            assert (response.status, response.body) == (own.status_code, own.data), headers
            assert compared(response.headers.items()) == compared(own.headers.items()), headers


def compared(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers that say something about the answer."""
    own_to_each_connection = {"Connection", "Content-Length", "Date", "Server", "Transfer-Encoding"}
    missing_from_304 = {"Accept-Ranges"}
    return {name: value for name, value in headers if name not in own_to_each_connection | missing_from_304}
