"""The service behind nginx, with the configuration that the documentation recommends."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.commands import PROJECT
from tests.support.plain_service import plain_service
from tests.support.programs import require_program
from tests.support.service import RunningService, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

CLIENTS = 200
SLOW = {
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
    "half a body": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx",
    "not reading": b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
}


@contextmanager
def running_nginx(folder: Path, service_port: int) -> Iterator[int]:
    """The port of nginx, which passes requests on to a service."""
    port = free_port()
    places = [f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    config = (
        (PROJECT / "deploy" / "nginx.conf")
        .read_text(encoding="utf-8")
        .replace("listen 80;", f"listen 127.0.0.1:{port};")
        .replace("127.0.0.1:8080", f"127.0.0.1:{service_port}")
        .replace("http {", "\n".join(["http {", "access_log off;", *places]))
    )
    # a user of its own could not write into the test's folder
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"{user}daemon off;\npid {folder}/pid;\n{config}", encoding="utf-8")
    command = [require_program("nginx"), "-e", folder / "errors", "-p", folder, "-c", folder / "nginx.conf"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def accepts() -> bool:
        assert process.poll() is None, (folder / "errors").read_text(encoding="utf-8")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True

    try:
        eventually(accepts)
        yield port
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with plain_service("--threads", "32") as service:
        yield service


@pytest.fixture(scope="module")
def proxy(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A client of the service that goes through nginx."""
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
    with running_nginx(tmp_path, free_port()) as port:
        response = RunningService({}, port=port).get("/api/regions")
    assert response.status == 503
    assert list(response.json) == ["error"]
    assert response.headers["Retry-After"] == "5"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
