"""Windows with equal versions have equal events, across processes and changes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from random import Random

import pytest

from queries import LiveEvents
from tests.conftest import rows
from tests.queries.sources.live.support import (
    DAY,
    EVER,
    HOUR,
    MICROSECOND,
    NOW,
    Open,
    WatchedEvents,
    Window,
    insert,
    put,
    rates,
    set_rates,
    stored,
    unnoticed,
    writing,
)
from tests.support.waiting import eventually

Versions = Callable[[datetime, datetime], str]


@pytest.fixture
def versions(database: str, live: Open, frequent_polls: None) -> Versions:
    """The version on which two LiveEvents agree. One of them has cached everything."""
    both: list[LiveEvents] = []

    def version(since: datetime, until: datetime) -> str:
        if not both:
            both.extend((live(database), live(database)))
            both[0].window(*EVER)
            for events in both:
                events.start()

        def agreed() -> str | None:
            one, other = (events.at(since, until).version for events in both)
            return one if one == other else None

        both[1].window(since, until)
        return eventually(agreed) or ""

    return version


def test_version_is_that_of_the_content_and_not_of_the_cache(database: str, versions: Versions) -> None:
    put(database, *(NOW - days * DAY for days in range(20)))
    windows = [(NOW - days * DAY + HOUR, NOW - until * DAY) for days in (1, 6, 9) for until in (-1, 0, 0.5, 0.9)]
    found: dict[str, list[int]] = {}
    for window in windows:
        content = stored(database, window)["id"].to_list()
        assert found.setdefault(versions(*window), content) == content
    assert len(found) > 1


def test_new_event_changes_the_version(database: str, versions: Versions) -> None:
    window, found = (NOW - 3 * DAY, NOW), []
    for at in (NOW, NOW, NOW - 2 * DAY):
        put(database, at)
        found.append(versions(*window))
    assert len(set(found)) == 3


@pytest.mark.usefixtures("frequent_polls")
def test_unsettled_events_change_the_version(database: str, live: Open) -> None:
    put(database, NOW)
    source, found = WatchedEvents(database), []
    events = live(source)
    events.start()
    events.window(NOW - DAY, NOW)
    source.wait_for_rounds()
    with writing(database) as slow, writing(database) as quick:
        insert(slow)
        for _ in range(3):
            insert(quick)
            found.append(events.at(NOW - DAY, NOW).version)
            quick.connection.commit()
        found.append(events.at(NOW - DAY, NOW).version)
        slow.connection.commit()
    found.append(events.at(NOW - DAY, NOW).version)
    assert len(set(found)) == 5


def test_version_stays_as_its_window_moves_until_an_event_leaves_or_enters(database: str, versions: Versions) -> None:
    put(database, NOW - 2 * DAY, NOW - DAY, NOW + DAY)
    second = timedelta(seconds=1)
    at_first = versions(NOW - 2 * DAY - HOUR, NOW)
    assert {versions(NOW - 2 * DAY - HOUR + n * second, NOW + n * second) for n in (1, 60, 3600)} == {at_first}
    left = versions(NOW - 2 * DAY + MICROSECOND, NOW + HOUR)
    entered = versions(NOW - 2 * DAY, NOW + DAY)
    assert len({at_first, left, entered}) == 3


@pytest.mark.usefixtures("frequent_polls")
def test_version_differs_after_the_table_was_emptied_and_filled_again(database: str, live: Open) -> None:
    events, window, found = live(database), (NOW - DAY, NOW), {}
    events.start()
    assert eventually(lambda: events.at(*window).version)
    for rate in (1.0, 0.5):
        rows(database, "TRUNCATE events RESTART IDENTITY")
        put(database, NOW, NOW, rate=rate)
        events.window(*window)
        assert eventually(lambda: events.at(*window).version)
        at_present = events.at(*window)
        found[at_present.version] = rates(at_present.load())
    assert sorted(found.values()) == [[0.5, 0.5], [1, 1]]


@pytest.mark.usefixtures("frequent_polls")
def test_version_changes_with_a_change_that_the_database_does_not_count(database: str, live: Open) -> None:
    put(database, NOW, NOW)
    source, window, found = WatchedEvents(database), (NOW - HOUR, NOW), {}
    events = live(source, warm_window=DAY, reload_interval=0.1)
    events.start()

    def is_now(rate: float) -> bool:
        at_present = events.at(*window)
        seen = rates(at_present.load())
        if at_present.version is not None:
            assert found.setdefault(at_present.version, seen) == seen
        return seen == [rate, rate] and at_present.version is not None

    assert eventually(lambda: is_now(1))
    source.wait_for_rounds()
    assert is_now(1)
    with unnoticed(database) as administrator:
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}'")
        administrator.connection.commit()
    assert eventually(lambda: is_now(0.5))


def change_first_and_delete_third(database: str, rate: float) -> None:
    with unnoticed(database) as administrator:
        administrator.execute(f"UPDATE events SET payload = '{{\"success_rate\": {rate}}}' WHERE id = 1")
        administrator.execute("DELETE FROM events WHERE id = 3")
        administrator.connection.commit()


def test_version_differs_after_the_newest_was_deleted_and_another_changed(database: str, live: Open) -> None:
    events, window, found = live(database), (NOW - DAY, NOW), {}
    for _ in range(3):
        put(database, NOW)
        events.window(*window)
        at_present = events.at(*window)
        found[at_present.version] = rates(at_present.load())
    change_first_and_delete_third(database, 0.5)
    events.window(*window)
    at_present = events.at(*window)
    assert rates(at_present.load()) == [0.5, 1]
    assert at_present.version is None or at_present.version not in found


@pytest.mark.usefixtures("frequent_polls")
def test_version_differs_after_the_newest_was_deleted_and_a_reload_had_seen_a_change(database: str, live: Open) -> None:
    put(database, NOW, NOW)
    events, window = live(database, warm_window=DAY, reload_interval=0.1), (NOW - HOUR, NOW)
    events.start()
    events.window(*window)
    with unnoticed(database) as administrator:
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        administrator.connection.commit()
    assert eventually(lambda: rates(events.window(*window)) == [0.5, 1])
    before = events.at(*window).version
    put(database, NOW)
    events.at(*window)
    change_first_and_delete_third(database, 0.25)
    assert rates(events.window(*window)) == [0.25, 1]
    assert events.at(*window).version != before


@pytest.mark.usefixtures("frequent_polls")
def test_no_version_stands_for_two_contents(database: str, live: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queries.sources.live.day_reader.CHUNK_ROWS", 1)
    put(database, *(NOW - days * DAY for days in range(5)))
    window: Window = (NOW - 5 * DAY, NOW)
    both: list[LiveEvents] = [live(database), live(database)]
    for events in both:
        events.start()
        events.window(*window)
    found: dict[str, set[tuple[float, ...]]] = {}
    done, pauses = threading.Event(), Random(1)

    def request(events: LiveEvents) -> None:
        while not done.is_set():
            at_present = events.at(*window)
            if at_present.version is not None:
                found.setdefault(at_present.version, set()).add(tuple(rates(at_present.load())))

    def change_and_count(rate: list[int]) -> bool:
        rate[0] += 1
        if rate[0] % 3:
            # each process may see one day's change before the other's
            day = rate[0] % 5 + 1
            rows(database, f"UPDATE events SET payload = '{{\"success_rate\": {rate[0]}}}' WHERE id = {day}")
        else:
            set_rates(database, rate[0])
        # there is no version while changes are being read
        time.sleep(pauses.uniform(0, 0.6))
        return len(found) > 20

    with ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(request, events) for events in both * 2]
        try:
            rate = [1]
            eventually(lambda: change_and_count(rate))
        finally:
            done.set()
        for each in requests:
            each.result(60)
    assert {version: contents for version, contents in found.items() if len(contents) > 1} == {}


@pytest.mark.usefixtures("frequent_polls")
def test_processes_agree_on_the_version_after_changes(database: str, versions: Versions) -> None:
    put(database, *(NOW - days * DAY for days in range(5)))
    found = {versions(*EVER): stored(database)["id"].to_list()}
    for statement in (
        "DELETE FROM events WHERE id = 2",
        "UPDATE events SET payload = '{}' WHERE id IN (1, 4)",
        "UPDATE events SET event_time = event_time - interval '1 day' WHERE id = 3",
    ):
        rows(database, statement)
        assert eventually(lambda: versions(*EVER) not in found)
        found[versions(*EVER)] = stored(database)["id"].to_list()
    assert len(found) == 4
