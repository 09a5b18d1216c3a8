"""The direct connection, and what it does when the database is silent."""

import socket
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from queries import StoreTimeout, StoreUnavailable
from queries.db import ArrowPool, DirectConnection
from queries.errors import OutcomeUnknown
from tests.conftest import rows
from tests.support.postgres import StoppablePostgres
from tests.support.waiting import eventually


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


def test_host_after_a_silent_one_is_used(silent: socket.socket, database: str) -> None:
    server = parse_dsn(database)
    hosts = f"postgresql://postgres@/{server['dbname']}?host=127.0.0.1,{server['host']}"
    url = f"{hosts}&port={silent.getsockname()[1]},{server['port']}&connect_timeout=2&sslmode=disable"
    with closing(DirectConnection(url, 20)) as connection:
        assert connection.run("SELECT 1") == [(1,)]
    assert count_connections(silent) == 1
    with closing(ArrowPool(url, timeout=20, connections=1)) as pool:
        assert pool.read("SELECT 1 AS a").to_pylist() == [{"a": 1}]


def test_slow_statement_is_a_timeout_and_the_next_one_works(database: str) -> None:
    connection = DirectConnection(database, 1)
    with pytest.raises(StoreTimeout):
        connection.run("SELECT pg_sleep(30)")
    assert connection.run("SELECT 1") == [(1,)]
    connection.close()


INSERT = "INSERT INTO job_types (name) VALUES (%(name)s) RETURNING name"
STORED = "SELECT name FROM job_types WHERE id > 2 ORDER BY id"


@pytest.fixture
def writer(database: str) -> Iterator[DirectConnection]:
    with closing(DirectConnection(database, 20)) as connection:
        yield connection


def test_write_is_committed_when_it_returns(writer: DirectConnection, database: str) -> None:
    assert writer.write(INSERT, {"name": "50%"}, 20) == [("50%",)]
    assert rows(database, STORED) == [("50%",)]


def test_refused_statement_leaves_a_connection_that_works(writer: DirectConnection, database: str) -> None:
    with pytest.raises(psycopg2.errors.UniqueViolation):
        writer.write(INSERT, {"name": "ai"}, 20)
    assert writer.write(INSERT, {"name": "new"}, 20) == [("new",)]
    assert rows(database, STORED) == [("new",)]


def test_write_over_a_connection_that_was_ended_is_repeated(writer: DirectConnection, database: str) -> None:
    writer.write(INSERT, {"name": "first"}, 20)
    # the statement itself ends the connection that it comes over, once
    rows(
        database,
        """CREATE SEQUENCE ends;
           CREATE FUNCTION end_once() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN PERFORM pg_terminate_backend(pg_backend_pid()) WHERE nextval('ends') = 1; RETURN NEW; END $$;
           CREATE TRIGGER end_once BEFORE INSERT ON job_types FOR EACH ROW EXECUTE FUNCTION end_once()""",
    )
    assert writer.write(INSERT, {"name": "second"}, 20) == [("second",)]
    assert rows(database, STORED) == [("first",), ("second",)]


def test_write_that_meets_a_lock_stores_nothing_now_or_later(writer: DirectConnection, database: str) -> None:
    with closing(psycopg2.connect(database)) as holder, holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE job_types IN SHARE MODE")
        with pytest.raises(StoreTimeout) as failure:
            writer.write(INSERT, {"name": "late"}, 0.5)
        assert not isinstance(failure.value, OutcomeUnknown)
    assert writer.write(INSERT, {"name": "next"}, 20) == [("next",)]
    assert rows(database, STORED) == [("next",)]


def test_write_to_a_frozen_server_stores_nothing_when_it_wakes_up(stoppable_postgres: StoppablePostgres) -> None:
    with closing(DirectConnection(stoppable_postgres.url, 20)) as writer:
        writer.write(INSERT, {"name": "before"}, 20)
        with stoppable_postgres.frozen(), pytest.raises(StoreTimeout) as failure:
            writer.write(INSERT, {"name": "frozen"}, 0.5)
        assert not isinstance(failure.value, OutcomeUnknown)
        assert writer.write(INSERT, {"name": "after"}, 20) == [("after",)]
    assert rows(stoppable_postgres.url, STORED) == [("before",), ("after",)]


def test_commit_that_nobody_confirms_has_an_unknown_outcome(stoppable_postgres: StoppablePostgres) -> None:
    # a commit waits for a standby that does not exist
    rows(stoppable_postgres.url, "ALTER DATABASE leaderboard SET synchronous_commit = on")
    set_synchronous_standby(stoppable_postgres, "nobody")
    with closing(DirectConnection(stoppable_postgres.url, 20)) as writer, pytest.raises(OutcomeUnknown):
        writer.write(INSERT, {"name": "unconfirmed"}, 0.5)
    set_synchronous_standby(stoppable_postgres, "")
    assert rows(stoppable_postgres.url, STORED) == [("unconfirmed",)]


def set_synchronous_standby(server: StoppablePostgres, name: str) -> None:
    with closing(psycopg2.connect(server.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = local")
            cursor.execute("ALTER SYSTEM SET synchronous_standby_names = %s", (name,))
            cursor.execute("SELECT pg_reload_conf()")
    eventually(lambda: rows(server.url, "SHOW synchronous_standby_names") == [(name,)])
