"""How threads leave work to the main loop of a worker: calls, and the sending of short responses."""

import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from leaderboard.server.response_buffer import MAX_HELD_BYTES, ResponseBuffer, UnsentBytes
from leaderboard.server.threads import MainLoopCalls

THREADS, CALLS = 4, 2000
Pair = tuple[ResponseBuffer, socket.socket]


def test_every_call_of_every_thread_is_made_once_and_in_order() -> None:
    calls = MainLoopCalls()
    calls.init()
    made: list[tuple[int, int]] = []

    def defer(thread: int) -> None:
        for number in range(CALLS):
            calls.defer(made.append, (thread, number))

    with closing(calls), ThreadPoolExecutor(THREADS) as threads:
        for thread in range(THREADS):
            threads.submit(defer, thread)
        while len(made) < THREADS * CALLS:
            # a call without its byte in the pipe would never be made
            assert select.select([calls], [], [], 60)[0]
            calls.run_callbacks(None)
    for thread in range(THREADS):
        assert [number for other, number in made if other == thread] == [*range(CALLS)]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The sending side of a connection, and its client."""
    server, client = socket.socketpair()
    server.setblocking(False)
    client.setblocking(False)
    with server, client:
        yield ResponseBuffer(server, UnsentBytes(), lambda: None), client


def received(client: socket.socket) -> bytes:
    try:
        return client.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_short_response_is_left_to_the_main_loop(pair: Pair) -> None:
    buffer, client = pair
    buffer.sendall(b"short")
    assert received(client) == b""
    buffer.send_held()
    assert received(client) == b"short"


def test_longer_response_is_sent_at_once_and_in_order(pair: Pair) -> None:
    buffer, client = pair
    buffer.sendall(b"head ")
    buffer.sendall(b"body ")
    assert received(client) == b"head body "
    buffer.sendall(bytes(MAX_HELD_BYTES + 1))
    assert received(client) == bytes(MAX_HELD_BYTES + 1)


def test_response_to_a_client_that_has_gone_is_dropped(pair: Pair) -> None:
    buffer, client = pair
    buffer.sendall(b"short")
    buffer.abort()
    with pytest.raises(BrokenPipeError):
        buffer.send_held()
    assert received(client) == b""
