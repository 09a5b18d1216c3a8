"""The pages behind nginx, with the configuration that the documentation recommends."""

import re
from collections.abc import Iterator
from html import unescape
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from benchmarks.trust.processes.nginx import running_nginx
from tests.support.programs import require_program


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
