"""A window of LiveEvents has what the database has, whatever was requested before and whatever came since."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from random import Random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import TRANSCODING, PostgresEvents
from queries.sources.live.state import EVENT_BYTES
from tests.conftest import conformance, rows
from tests.queries.sources.live.support import (
    DAY,
    EARLIEST,
    EVER,
    FIRST,
    HOUR,
    LAST,
    LATEST,
    NOW,
    REFRESH_THREAD,
    WINDOWS,
    Open,
    WatchedEvents,
    Window,
    assert_equals_database,
    content,
    ids,
    insert,
    put,
    rewrite,
    stored,
    writing,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_first_window_equals_database(events_database: str, live: Open, window: Window) -> None:
    assert_equals_database(live(events_database), events_database, window)


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("memory", [0, 1000, 10_000], ids="{} events in memory".format)
def test_later_windows_equal_database(events_database: str, live: Open, memory: int) -> None:
    windows = Random(memory).sample(list(WINDOWS.values()), len(WINDOWS))
    assert_equals_database(live(events_database, memory_bytes=memory * EVENT_BYTES), events_database, *windows)


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_concurrent_windows_equal_database(events_database: str, live: Open) -> None:
    windows = [(FIRST + days * DAY, LATEST) for days in (39, 30, 20, 10, 0)] + [(FIRST + 3 * DAY, FIRST + 9 * DAY)]
    expected = [stored(events_database, window) for window in windows]
    with ThreadPoolExecutor(12) as pool:
        for seed in range(4):
            events, requested = live(events_database), Random(seed).choices(range(len(windows)), k=12)
            together = threading.Barrier(12)

            def request(number: int, events: object = events, together: threading.Barrier = together) -> pl.DataFrame:
                together.wait(60)
                return content(events.window(*windows[number]))

            for number, answer in zip(requested, pool.map(request, requested), strict=True):
                assert_frame_equal(answer, expected[number])


def test_cached_events_are_not_read_again(events_database: str, live: Open) -> None:
    source = WatchedEvents(events_database)
    events = live(source)
    events.window(FIRST + 10 * DAY, LAST)
    read = source.windows
    for window in ((FIRST + 10 * DAY, LAST), (FIRST + 20 * DAY, FIRST + 21 * DAY), (LAST, LATEST), (LAST, FIRST)):
        events.window(*window)
    assert source.windows == read
    events.window(FIRST, LAST)
    assert source.windows > read


def test_empty_database_has_no_events(database: str, live: Open) -> None:
    assert_equals_database(live(database), database, EVER, (NOW - DAY, NOW))


def test_committed_event_is_in_the_next_window(database: str, live: Open) -> None:
    events = live(database)
    for number in range(1, 20):
        put(database, NOW)
        assert ids(events.window(NOW - DAY, NOW)) == list(range(1, number + 1))


def test_imported_event_of_any_time_is_in_the_next_window(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW)
    events.window(NOW - 10 * DAY, NOW)
    put(database, NOW - 9 * DAY, NOW + 400 * DAY, NOW - 9 * DAY, EARLIEST + DAY, LATEST - DAY)
    assert_equals_database(events, database, (NOW - 10 * DAY, NOW), EVER, (NOW, LATEST), (EARLIEST, NOW - 9 * DAY))


def test_imported_event_older_than_the_cache_is_in_a_longer_window(database: str, live: Open) -> None:
    events = live(database)
    put(database, *(NOW - days * DAY for days in range(20)))
    events.window(NOW - 2 * DAY, NOW)
    put(database, NOW - 5 * DAY, NOW - 2.5 * DAY)
    assert_equals_database(events, database, (NOW - 2 * DAY, NOW))
    put(database, NOW - 5 * DAY, NOW - 15 * DAY)
    assert_equals_database(events, database, (NOW - 6 * DAY, NOW), (NOW - 16 * DAY, NOW - 10 * DAY), EVER)


def test_event_that_comes_during_a_backfill_is_there_once(database: str, live: Open) -> None:
    source = WatchedEvents(database)
    events = live(source)
    put(database, *(NOW - days * DAY for days in range(10)))
    events.window(NOW - 2 * DAY, NOW)

    def meanwhile() -> None:
        put(database, NOW, NOW - 4 * DAY, NOW - 8 * DAY)
        events.window(NOW - DAY, NOW)

    source.run_after(1, meanwhile)
    events.window(NOW - 5 * DAY, NOW)
    assert_equals_database(events, database, (NOW - 5 * DAY, NOW), (NOW - DAY, NOW), EVER)


def test_window_does_not_change_after_it_was_requested(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW, NOW - DAY)
    events.window(NOW - 2 * DAY, NOW)
    window = events.at(NOW - 2 * DAY, NOW)
    put(database, NOW)
    assert ids(window.load()) == [1, 2]


def test_window_has_text_as_string_and_what_the_service_loads_as_categorical(database: str, live: Open) -> None:
    put(database, NOW)
    events = live(database)
    for kind, frame in ((pl.String, events.window(*EVER)), (pl.Categorical, events.at(*EVER).load())):
        assert isinstance(frame.collect_schema()["orchestrator"], kind)


def test_results_of_an_orchestrator_equal_database(events_database: str, live: Open) -> None:
    requested = conformance("events")["events"][0][1], FIRST, LAST, TRANSCODING
    with closing(PostgresEvents(events_database)) as source:
        expected = source.results(*requested).collect().sort("id")
    assert expected.height > 0
    assert_frame_equal(live(events_database).results(*requested).load().lazy().collect().sort("id"), expected)


@pytest.mark.parametrize("started", [True, False], ids=["started", "never started"])
def test_close_leaves_no_thread_and_no_connection(database: str, live: Open, started: bool) -> None:
    events = live(database)
    if started:
        events.start()
    events.window(*EVER)
    events.close()
    assert not any(thread.name == REFRESH_THREAD for thread in threading.enumerate())
    connected = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    assert eventually(lambda: rows(database, connected) == [(0,)])


@pytest.mark.slow
@pytest.mark.usefixtures("frequent_polls")
def test_windows_stay_whole_during_evictions_reloads_rewrites_and_rollbacks(
    database: str, live: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queries.sources.live.day_reader.CHUNK_ROWS", 20)
    put(database, *(NOW - hours * HOUR for hours in range(0, 480, 3)))
    events = live(database, warm_window=2 * DAY, memory_bytes=80 * EVENT_BYTES, reload_interval=0.05)
    events.start()
    picked = Random(3)
    windows: list[tuple[datetime, datetime]] = [
        (NOW - picked.uniform(0, 21) * DAY, NOW - picked.uniform(-1, 3) * DAY) for _ in range(8)
    ]
    expected = [stored(database, window)["id"].to_list() for window in windows]
    done = threading.Event()

    def request(seed: int) -> int:
        random, requested = Random(seed), 0
        while not done.is_set() or requested == 0:
            number = random.randrange(len(windows))
            assert ids(events.window(*windows[number])) == expected[number]
            requested += 1
        return requested

    with ThreadPoolExecutor(3) as pool:
        requests = [pool.submit(request, seed) for seed in range(3)]
        try:
            for _ in range(15):
                # none of this changes which events there are
                rows(database, "UPDATE events SET payload = payload WHERE id % 7 = 0")
                with writing(database) as writer:
                    for _ in range(40):
                        insert(writer)
                rewrite(database)
        finally:
            done.set()
        assert all(each.result(60) > 0 for each in requests)
