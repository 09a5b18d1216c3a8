"""The cache takes no more memory than it may, and what it evicts is missing from no window."""

import threading
from datetime import datetime

import pytest

from queries.concurrency import run_in_thread
from queries.sources.live.state import EVENT_BYTES
from tests.queries.sources.live.support import (
    DAY,
    EVER,
    FIRST,
    HOUR,
    LAST,
    LATEST,
    NOW,
    Open,
    WatchedEvents,
    assert_equals_database,
    cached_since,
    insert,
    put,
    rates,
    set_rates,
    stored,
    touch,
    writing,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("small_chunks")
def test_cache_takes_about_as_much_memory_as_it_may(events_database: str, live: Open) -> None:
    source = WatchedEvents(events_database)
    events = live(source, memory_bytes=1000 * EVENT_BYTES)
    assert_equals_database(events, events_database, (FIRST, LATEST), EVER)
    cached = stored(events_database, (cached_since(events, source, LAST), LATEST)).height
    # chunks are of whole days, and those that are read in parallel are added together
    assert 800 < cached < 1800


@pytest.mark.usefixtures("small_chunks")
def test_warm_window_stays_in_memory_whatever_the_limit(database: str, live: Open) -> None:
    put(database, *(NOW - hours * HOUR for hours in range(96)))
    source = WatchedEvents(database)
    events = live(source, warm_window=2 * DAY, memory_bytes=0)
    events.window(NOW - 2 * DAY, NOW)
    put(database, NOW)
    read = source.windows
    assert_equals_database(events, database, (NOW - 2 * DAY, NOW), (NOW - DAY, NOW))
    assert source.windows == read
    assert_equals_database(events, database, (NOW - 4 * DAY, NOW))
    assert source.windows > read


@pytest.mark.usefixtures("frequent_polls")
def test_start_loads_the_warm_window(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(5)))
    source = WatchedEvents(database)
    events = live(source, warm_window=2 * DAY)
    events.start()
    source.wait_for_rounds()
    read = source.windows
    assert read > 0
    assert_equals_database(events, database, (NOW - 2 * DAY, NOW))
    assert source.windows == read


@pytest.mark.parametrize("moment", [NOW, NOW - 6 * DAY], ids=["now", "the past"])
def test_new_events_evict_the_oldest_and_windows_stay_whole(database: str, live: Open, moment: datetime) -> None:
    source = WatchedEvents(database)
    events = live(source, memory_bytes=80 * EVENT_BYTES)
    put(database, *(NOW - hours * HOUR for hours in range(0, 240, 2)))
    windows = ((NOW - 2 * DAY, NOW), (NOW - 5 * DAY, NOW), (NOW - 7 * DAY, NOW - 3 * DAY), EVER)
    for _ in range(5):
        assert_equals_database(events, database, *windows)
        put(database, *[moment] * 10)
    events.window(NOW, NOW)
    assert stored(database, (cached_since(events, source, NOW), LATEST)).height <= 80
    assert_equals_database(events, database, *windows)


@pytest.mark.usefixtures("frequent_polls", "chunks_of_a_day")
@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_eviction_during_a_reload_leaves_windows_whole(database: str, live: Open, chunks: int) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source, memory_bytes=8 * EVENT_BYTES)
    events.start()
    source.wait_for_rounds()
    events.window(NOW - 7.5 * DAY, NOW)
    evicted = threading.Event()

    def meanwhile() -> None:
        put(database, *[NOW] * 6)
        events.at(NOW, NOW)
        evicted.set()

    source.run_after(chunks, meanwhile)
    touch(database)
    assert evicted.wait(60)
    source.wait_for_rounds()
    assert_equals_database(events, database, (NOW - 6.5 * DAY, NOW), (NOW - 3 * DAY, NOW), EVER)


@pytest.mark.usefixtures("frequent_polls")
def test_reload_updates_what_stays_in_memory_although_other_events_are_evicted(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source, memory_bytes=8 * EVENT_BYTES)
    events.start()
    source.wait_for_rounds()
    events.window(NOW - 7.5 * DAY, NOW)

    def meanwhile() -> None:
        put(database, *[NOW] * 4, rate=0.5)
        events.at(NOW, NOW)

    source.run_after(1, meanwhile)
    set_rates(database, 0.5)
    assert eventually(lambda: set(rates(events.window(NOW - 2.5 * DAY, NOW))) == {0.5})


@pytest.mark.usefixtures("frequent_polls")
def test_reload_during_a_refresh_loses_neither(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(4)))
    source = WatchedEvents(database)
    events = live(source)
    events.start()
    source.wait_for_rounds()
    events.window(*EVER)
    refreshing = threading.Event()

    def until_the_reload_has_ended() -> None:
        refreshing.set()
        # the thread begins its next round once the reload has ended
        source.wait_for_rounds(1)

    def meanwhile() -> None:
        put(database, NOW, rate=0.5)
        source.run_during_refresh(until_the_reload_has_ended)
        run_in_thread(events.at, NOW, NOW)
        assert refreshing.wait(60)

    source.run_after(1, meanwhile)
    set_rates(database, 0.5)
    assert eventually(lambda: rates(events.window(*EVER)) == [0.5] * 5)


def test_eviction_by_unsettled_events_during_a_backfill_leaves_windows_whole(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source, memory_bytes=9 * EVENT_BYTES)
    events.window(NOW - 3 * DAY, NOW)
    with writing(database) as slow:
        insert(slow)
        events.at(NOW, NOW)

        def meanwhile() -> None:
            put(database, *[NOW] * 6)
            events.at(NOW, NOW)

        source.run_after(1, meanwhile)
        events.window(NOW - 6.5 * DAY, NOW)
        assert_equals_database(events, database, (NOW - 6.5 * DAY, NOW), (NOW - 3 * DAY, NOW), EVER)


def test_event_that_is_evicted_during_a_backfill_of_its_day_is_in_later_windows(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source, memory_bytes=10 * EVENT_BYTES)
    events.window(NOW - 3 * DAY, NOW)

    def meanwhile() -> None:
        # the refresh evicts the older of these, and nothing else
        put(database, NOW - 5 * DAY, *[NOW] * 6)
        events.at(NOW, NOW)

    source.run_after(1, meanwhile)
    events.window(NOW - 6.5 * DAY, NOW)
    assert_equals_database(events, database, (NOW - 6.5 * DAY, NOW), EVER)
