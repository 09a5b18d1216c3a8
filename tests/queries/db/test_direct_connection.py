"""The direct connection, and what it does when the database is silent."""

import socket
from collections.abc import Iterator

import pytest

from queries import StoreTimeout, StoreUnavailable
from queries.db.direct_connection import DirectConnection


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def url(server: socket.socket) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/leaderboard?sslmode=disable"


def count_connections(server: socket.socket) -> int:
    """How many connections were opened since the last call."""
    found = 0
    while True:
        try:
            server.accept()[0].close()
        except TimeoutError:
            return found
        found += 1


@pytest.mark.parametrize("only_reads", [True, False])
def test_after_a_connection_timeout_only_writers_try_again_immediately(silent: socket.socket, only_reads: bool) -> None:
    connection = DirectConnection(url(silent), 0.1, only_reads=only_reads)
    with pytest.raises(StoreUnavailable):
        connection.run("SELECT 1")
    assert count_connections(silent) == 1
    with pytest.raises(StoreUnavailable):
        connection.run("SELECT 1")
    assert count_connections(silent) == (0 if only_reads else 1)


def test_refused_connection_is_tried_again_immediately() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connection = DirectConnection(
        f"postgresql://postgres@127.0.0.1:{port}/leaderboard?sslmode=disable", 0.1, only_reads=True
    )
    with pytest.raises(StoreUnavailable):
        connection.run("SELECT 1")
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.2)
        with pytest.raises(StoreUnavailable):
            connection.run("SELECT 1")
        assert count_connections(server) == 1


def test_slow_statement_is_a_timeout_and_the_next_one_works(database: str) -> None:
    connection = DirectConnection(database, 1)
    with pytest.raises(StoreTimeout):
        connection.run("SELECT pg_sleep(30)")
    assert connection.run("SELECT 1") == [(1,)]
    connection.close()
