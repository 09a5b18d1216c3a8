"""What the worker does for well-behaved clients, and when there are too many."""

import http.client
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psutil
import pytest

from tests.support.plain_service import plain_service
from tests.support.service import HttpResponse, RunningService, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

ERRORS = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x01\n" * 32,
    "no request": b"nonsense\r\n\r\n",
    "bare line ends": b"GET / HTTP/1.1\nHost: x\n\n",
    "endless path": b"GET /" + b"x" * 100_000,
    "endless head": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    "endless headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
}


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with plain_service() as service:
        yield service


def receive(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        data = connection.recv(1 << 16)
        assert data, f"the connection ended after {received!r}"
        received += data
    return received


def test_pipelined_requests_are_answered_in_their_order(service: RunningService) -> None:
    bodies = [b"a" * length for length in (1, 20_000, 300, 0, 70_000)]
    requests = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies]
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(b"".join(requests))
        received = b"".join(receive(connection, f"\r\n\r\n{len(body)}".encode()) for body in bodies[-1:])
    lengths = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200 OK")[1:]]
    assert lengths == [str(len(body)).encode() for body in bodies]


def test_client_that_expects_100_continue_is_told_once(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert receive(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"12345")
        assert receive(connection, b"\r\n\r\n5").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("sent", ERRORS.values(), ids=ERRORS)
def test_what_is_no_request_is_refused_at_once(service: RunningService, sent: bytes) -> None:
    response = service.send_bytes(sent)
    assert 400 <= response.status < 500
    assert len(response.json["error"]) <= 200
    assert "Server" not in response.headers


def test_no_response_names_its_server(service: RunningService) -> None:
    response = service.get("/")
    assert response.status == 200
    assert "Server" not in response.headers


@pytest.fixture
def overloaded(tmp_path: Path) -> Iterator[tuple[RunningService, Path, list[HttpResponse]]]:
    """A service that gets 40 posts which do not end before a file exists; its responses, as they arrive."""
    release = tmp_path / "release"
    responses: list[HttpResponse] = []

    def post(_: int) -> None:
        response = service.request("POST", f"/api/post_stats?held_until={release}", b"x", {})
        responses.append(response)

    with plain_service() as service, ThreadPoolExecutor(40) as pool:
        posts = [pool.submit(post, number) for number in range(40)]
        try:
            # two of them have threads
            eventually(lambda: len(responses) == 38)
            yield service, release, responses
        finally:
            release.touch()
        for done in posts:
            done.result()


def test_overload_of_posts_is_refused_early_and_recovers(
    overloaded: tuple[RunningService, Path, list[HttpResponse]],
) -> None:
    service, release, responses = overloaded
    assert {response.status for response in responses} == {503}
    assert {response.headers["Retry-After"] for response in responses} == {"5"}
    assert responses[0].json == {"error": "too many posts at once, try again later"}
    for path in ("/api/health", "/api/regions", "/api/aggregated_stats?since=1", "/api/raw_stats"):
        assert service.get(path).status == 200
    assert service.post(b"one more").status == 503
    release.touch()
    eventually(lambda: len(responses) == 40)
    assert [response.status for response in responses[38:]] == [200, 200]
    assert service.post(b"one more").status == 200


def test_free_worker_serves_what_a_full_one_would_keep_waiting(tmp_path: Path) -> None:
    release, begun = tmp_path / "release", tmp_path / "release.begun"

    def get_held() -> int:
        return service.get(f"/api/regions?held_until={release}").status

    # two workers with two threads for reads each
    with plain_service("--workers", "2") as service, ThreadPoolExecutor(4) as pool:
        pids: set[bytes] = set()
        eventually(lambda: pids.add(service.get("/pid").body) or len(pids) == 2)
        held = []
        # one after the other, since a worker cannot pass on what it took just before it was full
        for number in range(1, 4):
            held.append(pool.submit(get_held))
            eventually(lambda number=number: begun.exists() and begun.stat().st_size == number)
        try:
            statuses = [service.get("/api/regions").status for _ in range(10)]
        finally:
            release.touch()
        assert statuses == [200] * 10
        assert [request.result() for request in held] == [200] * 3


def test_reload_drops_no_request() -> None:
    def send_requests(connection: http.client.HTTPConnection) -> int:
        count = 0
        while not is_reloaded.is_set():
            connection.request("POST", "/", b"x")
            assert connection.getresponse().read() == b"1"
            count += 1
        return count

    def worker_pids() -> set[int]:
        return {worker.pid for worker in psutil.Process(service.process.pid).children()}

    is_reloaded = Event()
    with plain_service("--workers", "2") as service, ThreadPoolExecutor(4) as pool:
        connections = [http.client.HTTPConnection("127.0.0.1", service.port, timeout=60) for _ in range(4)]
        counts = [pool.submit(send_requests, connection) for connection in connections]
        try:
            for _ in range(2):
                before = worker_pids()
                service.process.send_signal(signal.SIGHUP)
                eventually(lambda: len(worker_pids()) == 2 and not worker_pids() & before)  # noqa: B023  it ends here
        finally:
            is_reloaded.set()
        assert all(count.result() > 0 for count in counts)
        for connection in connections:
            connection.close()


def test_worker_that_is_killed_is_replaced() -> None:
    with plain_service() as service:
        (worker,) = psutil.Process(service.process.pid).children()
        worker.kill()
        eventually(lambda: [c.pid for c in psutil.Process(service.process.pid).children()] not in ([], [worker.pid]))
        assert service.get("/").status == 200


def test_port_is_free_soon_after_the_main_process_is_killed(tmp_path: Path) -> None:
    address = ("127.0.0.1", free_port())
    with plain_service(port=address[1]) as service, socket.create_connection(address, timeout=60) as kept_alive:
        kept_alive.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        receive(kept_alive, b"\r\n\r\n0")
        kept_alive.sendall(f"GET /?held_until={tmp_path / 'never'} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        workers = psutil.Process(service.process.pid).children()
        assert len(workers) == 1
        service.process.kill()
        service.process.wait()
        eventually(lambda: can_listen(service.port), seconds=10)
        assert psutil.wait_procs(workers, timeout=20)[1] == []


def can_listen(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
