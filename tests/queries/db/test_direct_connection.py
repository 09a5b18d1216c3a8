"""One connection for small statements, and what it makes of a database that is silent."""

import socket
from collections.abc import Iterator

import pytest

from queries import StoreTimeout, StoreUnavailable
from queries.db.direct_connection import DirectConnection


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


def url(server: socket.socket) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/leaderboard?sslmode=disable"


def asked(server: socket.socket) -> int:
    """How many connections were asked for since the last time."""
    found = 0
    while True:
        try:
            server.accept()[0].close()
        except TimeoutError:
            return found
        found += 1


@pytest.mark.parametrize("only_reads", [True, False])
def test_a_database_that_takes_no_connection_is_away_and_asked_again_at_once_by_what_writes(
    silent: socket.socket, only_reads: bool
) -> None:
    connection = DirectConnection(url(silent), 0.1, only_reads=only_reads)
    with pytest.raises(StoreUnavailable):
        connection.run("SELECT 1")
    assert asked(silent) == 1
    with pytest.raises(StoreUnavailable):
        connection.run("SELECT 1")
    assert asked(silent) == (0 if only_reads else 1)


def test_a_database_that_refuses_a_connection_is_asked_again_at_once() -> None:
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
        assert asked(server) == 1


def test_a_statement_that_takes_too_long_is_too_late_and_the_next_one_works(database: str) -> None:
    connection = DirectConnection(database, 1)
    with pytest.raises(StoreTimeout):
        connection.run("SELECT pg_sleep(30)")
    assert connection.run("SELECT 1") == [(1,)]
    connection.close()
