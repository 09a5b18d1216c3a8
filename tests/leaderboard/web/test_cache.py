"""An answer is computed once for all who ask meanwhile, and so is a failure."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import psycopg2
import pytest
from flask import Flask

from leaderboard.app import create_app
from leaderboard.settings import Settings
from leaderboard.web.cache import get_readthrough
from tests.conftest import SECRET


def together(app: Flask, count: int, ask: Callable[[], Any]) -> list[Any]:
    """What ``ask`` gives to as many threads at once, exceptions included."""
    barrier = Barrier(count)

    def run(_: int) -> Any:
        with app.app_context():
            barrier.wait(20)
            try:
                return ask()
            except ZeroDivisionError as error:
                return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_one_computes_and_all_get_the_result(app: Flask) -> None:
    computed, go_on = [], Event()

    def compute() -> int:
        computed.append(1)
        go_on.wait(0.5)
        return len(computed)

    assert together(app, 8, lambda: get_readthrough("key", 60, compute)) == [1] * 8
    assert len(computed) == 1


def test_a_failure_goes_to_all_who_wait_and_is_not_kept(app: Flask) -> None:
    failed = []

    def fail() -> int:
        failed.append(1)
        time.sleep(0.5)
        return 1 // 0

    assert all(
        isinstance(found, ZeroDivisionError) for found in together(app, 8, lambda: get_readthrough("key", 60, fail))
    )
    assert len(failed) == 1
    with app.app_context():
        assert get_readthrough("key", 60, lambda: 5) == 5


def test_without_a_time_nothing_is_kept(app: Flask) -> None:
    computed: list[int] = []
    with app.app_context():
        for _ in range(3):
            get_readthrough("key", 0, lambda: computed.append(1))
    assert len(computed) == 3


def test_apps_do_not_share(app: Flask, settings: Settings) -> None:
    other = create_app(settings)
    for one, value in ((app, 1), (other, 2)):
        with one.app_context():
            assert get_readthrough("key", 60, lambda value=value: value) == value
    other.extensions["leaderboard"].close()


@pytest.mark.parametrize("path", ["/api/pipelines", "/api/regions"])
def test_many_who_ask_a_slow_database_wait_no_longer_than_one(database: str, path: str) -> None:
    app = create_app(Settings(postgres=database, secret=SECRET, db_timeout=1))
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE events, regions")
        began = time.monotonic()
        statuses = together(app, 6, lambda: app.test_client().get(path).status_code)
        took = time.monotonic() - began
    connection.close()
    assert statuses == [504] * 6
    assert took < 5
    app.extensions["leaderboard"].close()
