"""A driver's error becomes a sentence that says which database failed and why, and no password."""

import re
import socket
from collections.abc import Callable

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from queries import StoreError, StoreTimeout, StoreUnavailable
from queries.db import ArrowPool, DirectConnection, conninfo, database_label, translate_psycopg2_error
from queries.errors import SchemaError

PASSWORD = "pass-word"
READERS = {
    "psycopg2": lambda url: DirectConnection(url, 2).run("SELECT 1"),
    "adbc": lambda url: ArrowPool(url, timeout=2, connections=1).read("SELECT 1"),
}


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_refused_connection_names_database_and_reason(read: Callable[[str], object], free_port: int) -> None:
    with pytest.raises(StoreUnavailable) as failure:
        read(f"postgresql://user:{PASSWORD}@127.0.0.1:{free_port}/leaderboard")
    assert str(failure.value) == (
        f"the database leaderboard at 127.0.0.1:{free_port} is not available: Connection refused"
    )


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_missing_database_is_named(read: Callable[[str], object], server: str) -> None:
    with pytest.raises(StoreUnavailable) as failure:
        read(make_dsn(server.format("nowhere"), password=PASSWORD))
    assert str(failure.value).startswith("the database nowhere at ")
    assert str(failure.value).endswith(' is not available: database "nowhere" does not exist')


def test_cancelled_statement_is_a_timeout(database: str) -> None:
    pool = ArrowPool(database, timeout=2, connections=1)
    with pytest.raises(StoreTimeout, match=r"^the database test_\d+ at \S+ took too long: canceling statement due to"):
        pool.read("SELECT pg_sleep(30)")
    pool.close()


def test_mistake_in_a_statement_stays_an_error_of_the_driver(database: str) -> None:
    pool, direct = ArrowPool(database, timeout=5, connections=1), DirectConnection(database, 5)
    with pytest.raises(Exception, match="nonsense") as failure:
        pool.read("SELECT nonsense()")
    assert not isinstance(failure.value, StoreError)
    with pytest.raises(psycopg2.errors.UndefinedFunction):
        direct.run("SELECT nonsense()")
    pool.close()
    direct.close()


@pytest.mark.parametrize("error_type", [psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError])
def test_only_the_first_line_of_a_message_is_shown(error_type: type[psycopg2.Error]) -> None:
    error = error_type("server closed the connection unexpectedly\n\tThis probably means …\nQuery: x")
    translated = translate_psycopg2_error(error, f"postgresql://user:{PASSWORD}@db.example/scores")
    assert isinstance(translated, StoreUnavailable)
    assert str(translated) == (
        "the database scores at db.example:5432 is not available: server closed the connection unexpectedly"
    )


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("postgresql://db.example/scores", "the database scores at db.example:5432"),
        ("postgresql://u:p@one:1,two:2/scores", "the database scores at one:1, two:2"),
        ("postgresql:///scores?host=/run/postgresql", "the database scores at /run/postgresql:5432"),
        ("postgresql://", "the database at localhost:5432"),
    ],
)
def test_label_has_host_port_and_name(url: str, label: str) -> None:
    assert database_label(url) == label


@pytest.mark.parametrize("url", ["postgresql://user:pa@ss@db/x", "postgresql://user:pa/ss@db/x"])
def test_password_that_is_taken_for_another_part_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="in a password as %") as failure:
        conninfo(url, 1)
    assert not re.search(r"\bpa\b|\bss\b", str(failure.value))


def test_store_errors_have_one_base() -> None:
    assert issubclass(StoreUnavailable, StoreError)
    assert issubclass(StoreTimeout, StoreError)
    assert not issubclass(SchemaError, StoreError)
