"""A value is computed once for all requests that need it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import psycopg2
import pytest
from flask import Flask

from leaderboard.app import create_app
from leaderboard.settings import Settings
from leaderboard.web.caching.response_cache import get_readthrough

CALLERS = 8

T = TypeVar("T")


def call_from_many_threads(app: Flask, call: Callable[[], T]) -> list[T]:
    """What the call returns to threads that start it together."""
    barrier = Barrier(CALLERS)

    def run(_: int) -> T:
        with app.app_context():
            barrier.wait(20)
            return call()

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(run, range(CALLERS)))


def test_value_is_computed_once_for_all_threads(app: Flask) -> None:
    computed: list[str] = []

    def compute() -> bytes:
        computed.append("key")
        return b"%d" % len(computed)

    assert call_from_many_threads(app, lambda: get_readthrough("key", 60, compute)) == [b"1"] * CALLERS


def test_error_is_not_cached(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(ZeroDivisionError):
            get_readthrough("key", 60, lambda: b"%d" % (1 // 0))
        assert get_readthrough("key", 60, lambda: b"5") == b"5"


def test_zero_seconds_turn_the_cache_off(app: Flask) -> None:
    computed: list[int] = []
    with app.app_context():
        for number in range(3):
            get_readthrough("key", 0, lambda number=number: computed.append(number))
    assert computed == [0, 1, 2]


def test_apps_do_not_share_a_cache_in_memory(app: Flask, settings: Settings) -> None:
    other = create_app(settings)
    for one, value in ((app, b"1"), (other, b"2")):
        with one.app_context():
            assert get_readthrough("key", 60, lambda value=value: value) == value
    other.extensions["leaderboard"].close()


def test_slow_database_is_a_504_for_all_who_wait(database: str) -> None:
    app = create_app(Settings(lake_sync_interval=0, postgres=database, db_timeout=1))
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE events")
        # memory may hold the last day by now, but nothing older
        path = "/api/pipelines?since=2020-01-01"
        statuses = call_from_many_threads(app, lambda: app.test_client().get(path).status_code)
    connection.close()
    assert statuses == [504] * CALLERS
    app.extensions["leaderboard"].close()
