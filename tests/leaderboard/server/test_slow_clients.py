"""Clients that send or read slowly, or not at all."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.plain_service import BIG, BIG_BYTES, IMPATIENT, plain_service
from tests.support.service import RunningService
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

POST = b"POST /api/post_stats HTTP/1.1\r\nHost: x\r\n"
STALLED = {
    "nothing": b"",
    "half a head": b"GET /api/regions HTTP/1.1\r\nHost: x\r\nX: ",
    "half a body": POST + b"Content-Length: 1000\r\n\r\nx",
    "half a large body": POST + b"Content-Length: 10000000\r\n\r\n" + b"x" * 100_000,
    "half a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\nx",
    "no last chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
    "waits for 100 Continue, and goes on waiting": POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "a second request that stops": b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHo",
}
stalled = pytest.mark.parametrize("sent", STALLED.values(), ids=STALLED)
REQUEST_FOR_MUCH = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
CLIENTS = 100


@pytest.fixture(scope="module")
def patient() -> Iterator[RunningService]:
    """As many threads as a service has by default, and its limits of clients."""
    with plain_service("--threads", "32") as service:
        yield service


@pytest.fixture(scope="module")
def impatient() -> Iterator[RunningService]:
    """A service that cuts clients after a second."""
    with plain_service(**IMPATIENT) as service:
        yield service


@contextmanager
def clients(service: RunningService, sent: bytes, count: int = 1) -> Iterator[list[socket.socket]]:
    """Connections over which the bytes were sent."""
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
            connection.sendall(sent)
            connections.append(connection)
        yield connections


def read_to_end(connection: socket.socket) -> tuple[bytes, bool]:
    """What arrives, and whether it ends as it should and not by a reset."""
    received = bytearray()
    try:
        while data := connection.recv(1 << 16):
            received += data
    except ConnectionResetError:
        return bytes(received), False
    return bytes(received), True


@stalled
def test_clients_that_send_slowly_occupy_no_thread(patient: RunningService, sent: bytes) -> None:
    with clients(patient, sent, CLIENTS):
        for _ in range(3):
            assert patient.get("/api/regions").status == 200
            assert patient.post(b"result").body == b"6"


def test_clients_that_do_not_read_occupy_no_thread(patient: RunningService) -> None:
    with clients(patient, REQUEST_FOR_MUCH, CLIENTS):
        for _ in range(3):
            assert patient.get("/api/regions").status == 200
            assert patient.post(b"result").body == b"6"


@stalled
def test_client_that_stalls_is_cut(impatient: RunningService, sent: bytes) -> None:
    with clients(impatient, sent) as (connection,):
        received, _ = read_to_end(connection)
    # a client that has sent nothing of a request is told nothing
    assert (b"408 Request Timeout" in received) == bool(sent)


@pytest.mark.parametrize("sent", [STALLED["half a head"], STALLED["half a large body"]], ids=["head", "body"])
def test_client_that_sends_byte_by_byte_is_cut(impatient: RunningService, sent: bytes) -> None:
    with clients(impatient, sent) as (connection,):
        connection.settimeout(0.05)

        def send_and_receive() -> bytes:
            connection.sendall(b"x")
            try:
                return connection.recv(100)
            except TimeoutError:
                return b""

        assert eventually(send_and_receive).startswith(b"HTTP/1.1 408 ")


def test_client_that_does_not_read_is_cut(impatient: RunningService) -> None:
    with (
        clients(impatient, REQUEST_FOR_MUCH) as (connection,),
        clients(impatient, b"GET /stream HTTP/1.0\r\n\r\n") as (streaming,),
    ):
        connection.recv(1)
        streaming.recv(1)

        def is_reset(connection: socket.socket) -> bool:
            return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or not connection_is_open(connection)

        eventually(lambda: is_reset(connection) and is_reset(streaming))


def connection_is_open(connection: socket.socket) -> bool:
    """Whether TCP still holds the connection."""
    established = 1
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == established


@pytest.mark.parametrize("path", ["/big", "/stream"])
def test_client_that_reads_steadily_gets_everything(impatient: RunningService, path: str) -> None:
    with clients(impatient, f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode()) as (connection,):
        received, is_whole = read_to_end(connection)
    assert is_whole
    assert received.partition(b"\r\n\r\n")[2] == BIG
    assert len(BIG) == BIG_BYTES


def test_memory_for_large_bodies_has_a_bound(impatient: RunningService) -> None:
    half = POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 700_000
    with clients(impatient, half, 2) as both:
        # nearly all results are small
        assert impatient.post(b"x" * 50_000).body == b"50000"
        timed_out, refused = sorted(read_to_end(connection)[0] for connection in both)
    assert timed_out.startswith(b"HTTP/1.1 408 ")
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in refused
    eventually(lambda: impatient.post(b"x" * 700_000).body == b"700000")


@pytest.mark.parametrize(
    "service",
    [plain_service("--worker-connections", "10"), plain_service(shell_prefix="ulimit -n 60")],
    ids=["connections", "open files"],
)
def test_connections_that_wait_for_their_clients_make_room_for_new_ones(service: RunningService) -> None:
    with service, clients(service, STALLED["half a head"], CLIENTS):
        for _ in range(3):
            assert service.get("/api/regions").status == 200


def test_stop_does_not_wait_for_slow_clients() -> None:
    with plain_service(**IMPATIENT) as service, ExitStack() as stack:
        for sent in (*STALLED.values(), REQUEST_FOR_MUCH):
            stack.enter_context(clients(service, sent))
        assert service.stop() == 0
