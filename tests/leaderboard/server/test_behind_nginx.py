"""The service behind nginx, with the configuration that the documentation recommends."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.trust.processes.nginx import running_nginx
from tests.support.plain_service import plain_service
from tests.support.programs import require_program
from tests.support.service import RunningService, free_port

pytestmark = pytest.mark.slow

CLIENTS = 200
SLOW = {
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx",
    "not reading": b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with plain_service("--threads", "32") as service:
        yield service


@pytest.fixture(scope="module")
def proxy(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A client of the service that goes through nginx."""
    require_program("nginx")
    with running_nginx(tmp_path_factory.mktemp("nginx"), service.port) as port:
        yield replace(service, port=port)


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_slow_clients_are_harmless_behind_nginx(proxy: RunningService, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=60))
            connection.sendall(sent)
        for _ in range(5):
            assert proxy.get("/api/regions").status == 200
            assert proxy.post(b"result").body == b"6"


def test_large_bodies_pass_nginx(proxy: RunningService) -> None:
    assert proxy.post(b"x" * (16 << 20)).body == str(16 << 20).encode()


def test_nginx_without_its_service_responds_with_the_error_body(tmp_path: Path) -> None:
    require_program("nginx")
    with running_nginx(tmp_path, free_port()) as port:
        response = RunningService({}, port=port).get("/api/regions")
    assert response.status == 503
    assert list(response.json) == ["error"]
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_post_that_nobody_confirmed_is_not_refused(tmp_path: Path) -> None:
    require_program("nginx")
    with running_nginx(tmp_path, free_port()) as port:
        response = RunningService({}, port=port).post(b"result")
    assert response.status == 504
    assert list(response.json) == ["error"]
    assert "Retry-After" not in response.headers
