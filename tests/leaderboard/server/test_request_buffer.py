"""Where requests end."""

import pytest

from leaderboard.server.limits import ClientLimits
from leaderboard.server.request_buffer import RequestBuffer

LIMITS = ClientLimits(max_head_bytes=200, max_body_bytes=5000)
REQUESTS = {
    "no body": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no headers": b"GET / HTTP/1.1\r\n\r\n",
    "empty line first": b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a body": b"POST / HTTP/1.1\r\ncontent-LENGTH:\t 7 \r\nHost: x\r\n\r\n1234567",
    "a body with line ends": b"POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0\r\n\r\n56789\r\n0\r\n\r\n",
    "trailers": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\nZ: z\r\n\r\n",
}
INCOMPLETE_FOR_EVER = {
    "TLS": b"\x16\x03\x01",
    "bare line ends": b"GET / HTTP/1.1\nHost: x\n\n",
    "head too large": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 40,
    "body too large": b"POST / HTTP/1.1\r\nContent-Length: 5001\r\n\r\n",
    "no chunk size": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "chunk too large": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + b"x" * 10_000,
    "chunks too small": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 4000,
    "endless chunk size": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1" + b";" * 9000,
}
requests = pytest.mark.parametrize("request_bytes", REQUESTS.values(), ids=REQUESTS)


def read_all(buffer: RequestBuffer) -> bytes:
    return b"".join(iter(lambda: buffer.recv(5), b""))


@requests
@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_request_is_complete_at_its_end_and_not_before(request_bytes: bytes, piece: int) -> None:
    buffer = RequestBuffer(LIMITS)
    for start in range(0, len(request_bytes), piece):
        assert not buffer.is_complete
        buffer.feed(request_bytes[start : start + piece])
    assert buffer.is_complete
    assert buffer.is_whole
    assert read_all(buffer) == request_bytes


@requests
def test_next_request_follows(request_bytes: bytes) -> None:
    buffer = RequestBuffer(LIMITS)
    first = b"GET /first HTTP/1.1\r\n\r\n"
    buffer.feed(first + request_bytes[:-1])
    assert buffer.is_complete
    # gunicorn's parser reads ahead
    read_ahead = buffer.recv(len(first) + 3)[len(first) :]
    buffer.next_request(read_ahead)
    assert not buffer.is_complete
    buffer.feed(request_bytes[-1:])
    assert buffer.is_complete
    assert read_all(buffer) == request_bytes


@pytest.mark.parametrize("sent", INCOMPLETE_FOR_EVER.values(), ids=INCOMPLETE_FOR_EVER)
def test_what_can_not_become_a_request_is_not_awaited(sent: bytes) -> None:
    buffer = RequestBuffer(LIMITS)
    buffer.feed(sent)
    assert buffer.is_complete
    assert not buffer.is_whole


def test_end_of_stream_completes_what_has_arrived() -> None:
    buffer = RequestBuffer(LIMITS)
    buffer.feed(REQUESTS["a body"][:-1])
    buffer.end()
    assert buffer.is_complete
    assert not buffer.is_whole


def test_expectation_of_100_continue_is_seen() -> None:
    buffer = RequestBuffer(LIMITS)
    buffer.feed(b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n")
    assert buffer.expects_continue
    assert not buffer.is_complete
