"""What nginx keeps of the service's responses, and whom it holds back, with the recommended configuration."""

import http.client
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from benchmarks.trust.processes.nginx import TLS_FILES, running_nginx
from tests.support.counting_service import LONG_AGO, CountingService, counting_service
from tests.support.programs import require_program
from tests.support.service import HttpResponse, RunningService, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

LIMITED_ADDRESSES = ("127.0.0.2", "127.0.0.3")
"""Addresses of this machine that have no exception from the limits."""
MAX_CONNECTIONS = 100
MAX_REQUESTS = 200
"""More than these at once are refused."""
GET_LIMITED = b"GET /api/limited HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[CountingService]:
    with counting_service() as service:
        yield service


@pytest.fixture(scope="module")
def proxy(upstream: CountingService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A client of nginx."""
    require_program("nginx")
    with running_nginx(tmp_path_factory.mktemp("nginx"), upstream.server_port) as port:
        yield RunningService({}, port=port)


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """A path that no other test asks for."""
    return f"/api/{quote(request.node.name, safe='')}"


def number(response: HttpResponse) -> int:
    """The number of the request that the service answered with this response."""
    return response.json["number"]


def test_response_belongs_to_its_url(proxy: RunningService, path: str) -> None:
    urls = [path, f"{path}?a=1", f"{path}?a=2", f"{path}?a=1&b=2", f"{path}?b=2&a=1", f"/leaderboard{path}"]
    first = [number(proxy.get(url)) for url in urls]
    assert len(set(first)) == len(urls)
    assert [number(proxy.get(url)) for url in urls] == first
    # whose links would lead elsewhere
    assert number(proxy.get(path, Host="elsewhere.example")) not in first
    assert number(proxy.get(path)) == first[0]


def test_response_belongs_to_the_headers_in_vary(proxy: RunningService, path: str) -> None:
    path += "?Vary=Accept,+Accept-Encoding,+X-Forwarded-Prefix"
    headers = [{}, {"Accept": "text/csv"}, {"Accept-Encoding": "br"}, {"Accept": "text/csv", "Accept-Encoding": "br"}]
    first = [number(proxy.get(path, **chosen)) for chosen in headers]
    assert len(set(first)) == len(headers)
    assert [number(proxy.get(path, **chosen)) for chosen in headers] == first


def test_head_and_get_share_a_response(proxy: RunningService, upstream: CountingService, path: str) -> None:
    head = proxy.request("HEAD", path, b"", {})
    get = proxy.get(path)
    assert (number(get), get.json["method"]) == (upstream.requests, "GET")
    assert head.body == b""
    assert head.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize(
    "parameters",
    [
        {"Cache-Control": "no-store"},
        {"Cache-Control": "private, max-age=30"},
        {"Cache-Control": ""},
        {"Cache-Control": "no-store", "status": "404"},
        {"Cache-Control": "no-store", "status": "503", "Retry-After": "7"},
        {"Cache-Control": "", "status": "500"},
        {"X-Data-As-Of": "2026-08-01T00:00:00+00:00"},
        {"Set-Cookie": "a=b"},
        {"Vary": "*"},
    ],
    ids=urlencode,
)
def test_response_is_not_kept(proxy: RunningService, path: str, parameters: dict[str, str]) -> None:
    url = f"{path}?{urlencode(parameters)}"
    first, second = proxy.get(url), proxy.get(url)
    assert number(second) > number(first)
    for response in (first, second):
        assert response.status == int(parameters.get("status", 200))
        assert response.headers.get("Retry-After") == parameters.get("Retry-After")


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-9"},
        {"Range": "bytes=0-9", "If-Range": 'W/"1"'},
        {"If-Match": '"1"'},
        {"If-Unmodified-Since": LONG_AGO},
        {"Authorization": "Basic YTpi"},
    ],
    ids=str,
)
def test_request_is_for_the_service(proxy: RunningService, path: str, headers: dict[str, str]) -> None:
    path += "?ETag=W/%221%22&Accept-Ranges=bytes"
    kept = number(proxy.get(path))
    response = proxy.get(path, **headers)
    assert response.status == 200
    assert number(response) > kept
    received = response.json["headers"]
    assert {name: received[name.lower()] for name in headers} == headers
    assert number(proxy.get(path)) == kept


@pytest.mark.parametrize("framing", ["", "&Content-Length=&Transfer-Encoding=chunked"], ids=["length", "chunks"])
def test_response_that_is_cut_off_is_not_kept(
    proxy: RunningService, upstream: CountingService, path: str, framing: str
) -> None:
    before = upstream.requests
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead):
            proxy.get(f"{path}?cut{framing}")
    assert upstream.requests == before + 2


def test_no_cache_asks_the_service_for_everybody(proxy: RunningService, path: str) -> None:
    kept = number(proxy.get(path))
    refreshed = number(proxy.get(path, **{"Cache-Control": "no-cache"}))
    assert refreshed > kept
    assert number(proxy.get(path)) == refreshed


def test_kept_response_answers_conditional_requests(
    proxy: RunningService, upstream: CountingService, path: str
) -> None:
    path += "?ETag=W/%221%22"
    proxy.get(path)
    before = upstream.requests
    for etag, status in (('W/"1"', 304), ('"1"', 304), ('W/"2"', 200), ("*", 304)):
        response = proxy.get(path, **{"If-None-Match": etag})
        assert (response.status, response.headers["ETag"]) == (status, 'W/"1"')
        assert response.headers["Cache-Control"].startswith("public")
    assert upstream.requests == before


def test_kept_response_has_the_moment_of_the_service(proxy: RunningService, path: str) -> None:
    assert [proxy.get(path).headers["Date"] for _ in range(2)] == [LONG_AGO, LONG_AGO]


def test_cookies_do_not_matter(proxy: RunningService, path: str) -> None:
    first, second = proxy.get(path, Cookie="a=b"), proxy.get(path, Cookie="c=d")
    assert number(first) == number(second)
    assert "cookie" not in first.json["headers"]


def test_first_request_after_max_age_gets_the_old_response(proxy: RunningService, path: str) -> None:
    path += "?Cache-Control=public,+max-age=1,+stale-while-revalidate=600"
    first = number(proxy.get(path))
    # nginx's clock has whole seconds
    time.sleep(2.1)
    assert number(proxy.get(path)) == first
    assert eventually(lambda: number(proxy.get(path)) > first)


def test_response_is_not_sent_after_its_stale_time(proxy: RunningService, path: str) -> None:
    path += "?Cache-Control=public,+max-age=1,+stale-while-revalidate=1"
    first = number(proxy.get(path))
    time.sleep(3.1)
    assert number(proxy.get(path)) > first


def test_posts_pass_as_they_are(proxy: RunningService, upstream: CountingService) -> None:
    proxy.get("/api/post_stats")
    before = upstream.requests
    for count in range(1, 3):
        response = proxy.post(b'{"region": "FRA"}')
        assert (number(response), response.json["body"]) == (before + count, '{"region": "FRA"}')
        assert len(response.json["headers"]["authorization"]) == 64


def test_address_with_too_many_connections_is_refused_but_may_post(proxy: RunningService) -> None:
    with ExitStack() as stack:
        connections: list[socket.socket] = []

        def refusal_after_more_connections() -> HttpResponse | None:
            # nginx answers some of these, and fewer the faster this machine is
            for _ in range(2 * MAX_CONNECTIONS):
                connections.append(stack.enter_context(connect_from(LIMITED_ADDRESSES[0], proxy.port)))
                connections[-1].sendall(GET_LIMITED)
            return first_refusal(connections)

        refused = eventually(refusal_after_more_connections)
        with connect_from(LIMITED_ADDRESSES[0], proxy.port) as connection:
            for _ in range(100):
                connection.sendall(b"POST /api/post_stats HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx")
                assert read_response(connection).status == 200
    assert list(refused.json) == ["error"]
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_address_that_asks_too_often_is_refused(proxy: RunningService) -> None:
    def is_refused_after_many_requests() -> bool:
        for _ in range(2 * MAX_REQUESTS):
            with connect_from(LIMITED_ADDRESSES[1], proxy.port) as connection:
                connection.sendall(GET_LIMITED)
        with connect_from(LIMITED_ADDRESSES[1], proxy.port) as connection:
            connection.sendall(GET_LIMITED)
            return read_response(connection).status == 429

    assert eventually(is_refused_after_many_requests)


def test_this_machine_is_not_limited(proxy: RunningService) -> None:
    assert {proxy.get("/api/unlimited").status for _ in range(400)} == {200}


def connect_from(address: str, port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0))


def read_response(connection: socket.socket) -> HttpResponse:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return HttpResponse(response.status, response.headers, response.read())


def first_refusal(connections: list[socket.socket]) -> HttpResponse | None:
    """A response of status 429 that has arrived on one of the connections."""
    for connection in select.select(connections, [], [], 0)[0]:
        connections.remove(connection)
        response = read_response(connection)
        if response.status == 429:
            return response
    return None


def test_tls_ends_at_nginx(upstream: CountingService, tmp_path: Path) -> None:
    require_program("nginx")
    certificate, key = (tmp_path / name for name in TLS_FILES)
    subprocess.run(
        [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=leaderboard.example", "-addext", "subjectAltName=DNS:leaderboard.example",
         "-days", "1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    https_port = free_port()
    with running_nginx(tmp_path, upstream.server_port, https_port=https_port) as port:
        redirect = RunningService({}, port=port).request("POST", "/api/post_stats?a=1", b"x", {"Host": "a.example"})
        with connect(https_port, context) as connection:
            assert connection.selected_alpn_protocol() == "h2"
        context.set_alpn_protocols(["http/1.1"])
        with connect(https_port, context) as connection:
            connection.sendall(b"GET /api/regions HTTP/1.1\r\nHost: leaderboard.example\r\n\r\n")
            received = read_response(connection).json["headers"]
    assert (redirect.status, redirect.headers["Location"]) == (308, "https://a.example/api/post_stats?a=1")
    assert (received["x-forwarded-proto"], received["host"]) == ("https", "leaderboard.example")


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    return context.wrap_socket(plain, server_hostname="leaderboard.example")
