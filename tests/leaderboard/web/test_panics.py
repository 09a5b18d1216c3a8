"""A panic of a library costs one request, and a body that breaks off never looks whole."""

import http.client
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.support.service import RunningService

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "gunicorn", "tests.support.faulty_app:app", "--workers", "1"]


@pytest.fixture(scope="module")
def service(events_database: str) -> Iterator[RunningService]:
    with RunningService({"POSTGRES": events_database}, COMMAND) as service:
        yield service


@pytest.fixture
def worker(service: RunningService) -> Iterator[int]:
    """The pid of the worker, which must still be there at the end of the test."""
    (before,) = psutil.Process(service.process.pid).children()
    yield before.pid
    assert service.get("/api/regions").status == 200
    assert [child.pid for child in psutil.Process(service.process.pid).children()] == [before.pid]


@pytest.mark.parametrize("path", ["/panic", "/shared-panic"])
def test_panic_is_a_500(service: RunningService, worker: int, path: str) -> None:
    for _ in range(3):
        response = service.get(path)
        assert response.status == 500
        assert response.json == {"error": "unexpected error of the service; see its log"}
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/panic-in-stream", "/error-in-stream"])
@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])
def test_body_that_breaks_off_has_no_end(service: RunningService, worker: int, path: str, coding: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("GET", path, headers={"Accept-Encoding": coding})
    response = connection.getresponse()
    assert (response.status, response.headers["Transfer-Encoding"]) == (200, "chunked")
    # IncompleteRead, or a reset connection
    with pytest.raises((http.client.HTTPException, OSError)):
        response.read()
    connection.close()


@pytest.mark.parametrize("path", ["/panic-in-stream", "/error-in-stream"])
def test_client_that_knows_no_chunks_gets_no_part(service: RunningService, worker: int, path: str) -> None:
    response = service.send_bytes(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert response.status >= 500
    assert list(response.json) == ["error"]
