"""A database that fails makes windows fail, and once it answers again they are whole."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from queries import StoreTimeout, StoreUnavailable
from tests.conftest import clone, rows
from tests.queries.sources.live.support import (
    DAY,
    EVER,
    NOW,
    REFRESH_THREAD,
    Open,
    WatchedEvents,
    assert_equals_database,
    ids,
    put,
)
from tests.queries.sources.support import locked


def test_cut_connections_are_replaced(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW, NOW - 3 * DAY)
    for window in ((NOW - DAY, NOW), EVER, (NOW - 3 * DAY, NOW)):
        put(database, NOW)
        rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
             " AND datname = current_database()")  # fmt: skip
        assert_equals_database(events, database, window)


@pytest.mark.usefixtures("frequent_polls")
def test_unavailable_database_does_not_end_the_thread(live: Open) -> None:
    events = live("postgresql://nobody@127.0.0.1:1/nothing", timeout=1)
    events.start()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            events.window(NOW - DAY, NOW)
    assert any(thread.name == REFRESH_THREAD for thread in threading.enumerate())


@pytest.mark.usefixtures("frequent_polls")
def test_database_that_is_created_later_is_read(server: str, template: str, empty_database: str, live: Open) -> None:
    events = live(empty_database)
    events.start()
    with pytest.raises(StoreUnavailable):
        events.window(NOW - DAY, NOW)
    clone(server, template, psycopg2.extensions.parse_dsn(empty_database)["dbname"])
    put(empty_database, NOW)
    assert_equals_database(events, empty_database, EVER)


@pytest.mark.usefixtures("frequent_polls")
def test_slow_database_is_a_timeout_for_all_and_windows_are_whole_afterwards(database: str, live: Open) -> None:
    events = live(database, timeout=2)
    events.start()
    put(database, NOW, NOW - 3 * DAY)
    assert_equals_database(events, database, (NOW - DAY, NOW))
    with locked(database), ThreadPoolExecutor(6) as pool:
        requests = [pool.submit(events.window, NOW - DAY, NOW) for _ in range(6)]
        assert {type(each.exception(60)) for each in requests} == {StoreTimeout}
    put(database, NOW)
    assert_equals_database(events, database, (NOW - DAY, NOW), EVER)


def test_slow_backfill_is_a_timeout_and_windows_are_whole_afterwards(database: str, live: Open) -> None:
    source = WatchedEvents(database, timeout=2)
    events = live(source)
    put(database, *(NOW - days * DAY for days in range(5)))
    assert_equals_database(events, database, (NOW - DAY, NOW))
    longer = events.at(NOW - 4 * DAY, NOW)
    with locked(database), pytest.raises(StoreTimeout):
        longer.load()
    assert ids(longer.load()) == [1, 2, 3, 4, 5]
    assert_equals_database(events, database, EVER)
