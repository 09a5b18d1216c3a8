"""PostgreSQL URLs: what is wrong with one is said without showing it, and connect_timeout is heeded."""

import re
import socket
import time
from collections.abc import Callable

import pytest

from leaderboard.postgres.admin import connect
from leaderboard.postgres.pool import Database
from leaderboard.settings import Settings, SettingsError
from queries.db import ArrowPool, DirectConnection, conninfo
from queries.db.dsn import MAX_SILENCE_SECONDS, connect_timeout
from queries.errors import StoreError


@pytest.mark.parametrize(
    ("query", "option"),
    [
        ("schema=public", "schema"),
        ("sslmode=disable&pgbouncer=true", "pgbouncer"),
        ("pool_timeout=3&connect_timeout=5", "pool_timeout"),
        ("prepareThreshold=0", "prepareThreshold"),
        ("supa=base-pooler.x", "supa"),
    ],
)
def test_option_that_libpq_does_not_know_is_named(query: str, option: str) -> None:
    url = f"postgresql://user:hush@db.example/scores?{query}"
    with pytest.raises(
        ValueError, match=f"has the option {option}, which .* does not know; remove {option}"
    ) as failure:
        conninfo(url, 1)
    assert "hush" not in str(failure.value)
    with pytest.raises(SettingsError, match=f"^POSTGRES must be a valid URL: .* has the option {option}, "):
        Settings.load({"POSTGRES": url})


@pytest.mark.parametrize("password", ["hu?sh", "hu?sh=1", "hu?schema=sh", "hu/s?schema=h"])
def test_question_mark_in_a_password_is_not_taken_for_an_option(password: str) -> None:
    with pytest.raises(ValueError, match=r"the option nonsense, |more than one @|as %2F") as failure:
        conninfo(f"postgresql://user:{password}@db.example/scores?nonsense=1", 1)
    assert not re.search("hu|sh|schema", str(failure.value))


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("sslmode=maybe", "sslmode in the PostgreSQL URL must be one of disable, allow, "),
        ("target_session_attrs=master", "target_session_attrs in the PostgreSQL URL must be one of any, "),
        ("connect_timeout=soon", "connect_timeout in the PostgreSQL URL is not a whole number"),
        ("keepalives_idle=long", "keepalives_idle in the PostgreSQL URL is not a whole number"),
    ],
)
def test_value_that_libpq_does_not_accept_is_refused(option: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        conninfo(f"postgresql://db.example/scores?{option}", 1)


@pytest.mark.parametrize(("value", "seconds"), [("1", 2), ("2", 2), ("30", 30), ("0", float("inf"))])
def test_connect_timeout_counts_as_in_libpq(value: str, seconds: float) -> None:
    assert connect_timeout(conninfo(f"postgresql://db.example/scores?connect_timeout={value}", 20)) == seconds


@pytest.mark.parametrize(
    ("attempt", "connections"),
    [
        (lambda url: DirectConnection(url, 60).run("SELECT 1"), 1),
        (lambda url: DirectConnection(url, 60, only_reads=True).run("SELECT 1"), 1),
        (lambda url: ArrowPool(url, timeout=60, connections=1).read("SELECT 1"), 1),
        (lambda url: Database(url, 60).run(lambda cursor: cursor.execute("SELECT 1")), 1),
        # the second one is to the database postgres, to create the other one
        (lambda url: connect(url, 60), 2),
    ],
    ids=["post", "direct read", "arrow pool", "database", "administration"],
)
def test_connect_timeout_of_the_url_is_heeded_by_every_connection(
    attempt: Callable[[str], object], connections: int
) -> None:
    # a server that accepts connections and sends nothing
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://postgres@127.0.0.1:{server.getsockname()[1]}/scores?sslmode=disable&gssencmode=disable"
        began = time.monotonic()
        with pytest.raises(StoreError):
            attempt(f"{url}&connect_timeout=2")
        # each takes 2 s, and would take 5 s without the option
        assert time.monotonic() - began < connections * MAX_SILENCE_SECONDS
