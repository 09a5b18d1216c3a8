"""Events kept in memory answer as the database does, whatever happens to it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import psycopg2
import pytest
from polars.testing import assert_frame_equal

from queries import TRANSCODING, HybridEvents, LiveEvents, PostgresEvents, StoreTimeout, StoreUnavailable
from queries.concurrency.timeouts import run_in_thread
from queries.sources.live.cache import EVENT_BYTES
from tests.conftest import clone, conformance, load_events, rows
from tests.queries.conftest import collected
from tests.queries.sources.test_postgres import locked

NOW = datetime.now(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
EVER = (EARLIEST, LATEST)
FIRST, LAST = datetime(2026, 9, 10, tzinfo=UTC), datetime(2026, 10, 21, tzinfo=UTC)
"""Days that have all the events of the conformance set between them."""
ADDRESS = "0x" + "ab" * 20
KEEPER = "live-events"

SOURCES: dict[str, PostgresEvents] = {}

Window = tuple[datetime, datetime]
Open = Callable[..., LiveEvents]


class Watched(PostgresEvents):
    """Counts the windows that are read, and has something happen once events were read, before anybody has them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.windows = 0
        self._lock = threading.Lock()
        self._due: tuple[int, Callable[[], object]] | None = None
        self._during_refresh: Callable[[], object] | None = None

    def happens_after(self, windows: int, action: Callable[[], object]) -> None:
        """Has it happen once so many more windows were read."""
        self._due = self.windows + windows, action

    def happens_during_refresh(self, action: Callable[[], object]) -> None:
        """Has it happen once new events were read."""
        self._during_refresh = action

    def window(self, since: datetime, until: datetime, **options: Any) -> pl.LazyFrame:
        events = super().window(since, until, **options)
        with self._lock:
            self.windows += 1
            due = self._due if self._due is not None and self._due[0] <= self.windows else None
            self._due = None if due else self._due
        if due is not None:
            due[1]()
        return events

    def events_after(self, after_id: int) -> pl.LazyFrame:
        events = super().events_after(after_id)
        action, self._during_refresh = self._during_refresh, None
        if action is not None:
            action()
        return events


@pytest.fixture(autouse=True)
def sources() -> Iterator[None]:
    """Closes those of ``stored``."""
    yield
    for source in SOURCES.values():
        source.close()
    SOURCES.clear()


@pytest.fixture
def live() -> Iterator[Open]:
    """Opens LiveEvents over a database, which are closed at the end."""
    opened = []

    def open(
        database: str | PostgresEvents,
        *,
        warm: timedelta = HOUR,
        memory: int = 1 << 30,
        reread: float = 3600,
        timeout: float = 20,
    ) -> LiveEvents:
        source = PostgresEvents(database, timeout=timeout) if isinstance(database, str) else database
        events = LiveEvents(HybridEvents(source), warm_window=warm, memory_bytes=memory, reload_interval=reread)
        opened.append(events)
        return events

    yield open
    for events in opened:
        events.close()


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the keeper look around all the time."""
    monkeypatch.setattr("queries.sources.live.refresher.CHANGE_POLL_SECONDS", 0.02)
    monkeypatch.setattr("queries.sources.live.refresher.RELOAD_REST_FACTOR", 0)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has windows read in many pieces."""
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 400)


def put(url: str, *moments: datetime, rate: float = 1) -> None:
    """Stores an event at each of the moments."""
    load_events(url, [[at.timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": rate}] for at in moments])


def content(events: pl.LazyFrame) -> pl.DataFrame:
    return collected(events).sort("id")


def ids(events: pl.LazyFrame) -> list[int]:
    return content(events)["id"].to_list()


def rates(events: pl.LazyFrame) -> list[float]:
    return content(events)["success_rate"].to_list()


def stored(url: str, window: Window = EVER) -> pl.DataFrame:
    """What the database itself says."""
    if url not in SOURCES:
        SOURCES[url] = PostgresEvents(url)
    return content(SOURCES[url].window(*window))


def assert_answers(events: LiveEvents, url: str, *windows: Window) -> None:
    for window in windows:
        assert_frame_equal(content(events.window(*window)), stored(url, window))


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def writing(url: str) -> Iterator[Any]:
    """The cursor of a session of its own, whose last transaction is rolled back."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        yield cursor


def rewrite(url: str) -> None:
    """Stores the table anew, with what it has."""
    with writing(url) as administrator:
        administrator.connection.autocommit = True
        administrator.execute("VACUUM FULL events")


def insert(cursor: Any, at: datetime = NOW) -> int:
    """The id of an event, which is not committed."""
    cursor.execute(
        "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (%s, %s, 1, '{}') RETURNING id",
        (at, ADDRESS),
    )
    return cursor.fetchone()[0]


def some_windows() -> list[Window]:
    """Windows over the conformance set: of all lengths, at its ends, at midnights and at its very events."""
    random = Random(7)
    times = [datetime.fromtimestamp(at, UTC) for at, *_ in random.sample(conformance("events")["events"], 6)]
    picked = [FIRST + random.uniform(-3, 44) * DAY for _ in range(24)]
    midnights = [FIRST + random.randint(0, 40) * DAY for _ in range(6)]
    windows = [
        *zip(picked[::2], picked[1::2], strict=True),
        *zip(midnights[::2], midnights[1::2], strict=True),
        *zip(times[::2], times[1::2], strict=True),
        *((at, at) for at in times[:2]),
        *((at + MICROSECOND, at + HOUR) for at in times[2:4]),
    ]
    return [(min(window), max(window)) for window in windows]


WINDOWS = {
    "all": (FIRST, LAST),
    "ever": EVER,
    "the last day": (LAST - DAY, LAST),
    "whole days": (FIRST + 5 * DAY, FIRST + 8 * DAY),
    "one midnight": (FIRST + 5 * DAY, FIRST + 5 * DAY),
    "the first year": (EARLIEST, EARLIEST + 300 * DAY),
    "the last year": (LATEST - 300 * DAY, LATEST),
    "before all": (FIRST - 20 * DAY, FIRST - DAY),
    "after all": (LAST + DAY, LAST + 20 * DAY),
    "from the past to the future": (FIRST + 20 * DAY, NOW + 4000 * DAY),
    "since after until": (LAST, FIRST),
    "since after until, within a day": (FIRST + 5 * DAY + HOUR, FIRST + 5 * DAY),
    "since after until, ever": (LATEST, EARLIEST),
    **{f"any {number}": window for number, window in enumerate(some_windows(), 1)},
}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_first_question_is_answered_as_by_the_database(events_database: str, live: Open, window: Window) -> None:
    assert_answers(live(events_database), events_database, window)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("memory", [0, 1000, 10_000], ids="{} events in memory".format)
def test_many_questions_are_answered_as_by_the_database(events_database: str, live: Open, memory: int) -> None:
    windows = Random(memory).sample(list(WINDOWS.values()), len(WINDOWS))
    assert_answers(live(events_database, memory=memory * EVENT_BYTES), events_database, *windows)


@pytest.mark.usefixtures("small_pieces")
def test_many_who_ask_at_once_are_answered_as_by_the_database(events_database: str, live: Open) -> None:
    windows = [(FIRST + days * DAY, LATEST) for days in (39, 30, 20, 10, 0)] + [(FIRST + 3 * DAY, FIRST + 9 * DAY)]
    expected = [stored(events_database, window) for window in windows]
    with ThreadPoolExecutor(12) as pool:
        for seed in range(4):
            events, asked = live(events_database), Random(seed).choices(range(len(windows)), k=12)
            together = threading.Barrier(12)

            def ask(number: int, events: LiveEvents = events, together: threading.Barrier = together) -> pl.DataFrame:
                together.wait(20)
                return content(events.window(*windows[number]))

            for number, answer in zip(asked, pool.map(ask, asked), strict=True):
                assert_frame_equal(answer, expected[number])


def test_what_is_held_is_not_read_again(events_database: str, live: Open) -> None:
    source = Watched(events_database)
    events = live(source)
    events.window(FIRST + 10 * DAY, LAST)
    read = source.windows
    for window in ((FIRST + 10 * DAY, LAST), (FIRST + 20 * DAY, FIRST + 21 * DAY), (LAST, LATEST), (LAST, FIRST)):
        events.window(*window)
    assert source.windows == read
    events.window(FIRST, LAST)
    assert source.windows > read


def test_the_events_of_no_database_yet_are_none(database: str, live: Open) -> None:
    assert_answers(live(database), database, EVER, (NOW - DAY, NOW))


def test_what_was_committed_is_in_the_next_answer(database: str, live: Open) -> None:
    events = live(database)
    for number in range(1, 20):
        put(database, NOW)
        assert ids(events.window(NOW - DAY, NOW)) == list(range(1, number + 1))


def test_what_is_imported_is_in_the_next_answer_however_old_or_new_it_is(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW)
    events.window(NOW - 10 * DAY, NOW)
    put(database, NOW - 9 * DAY, NOW + 400 * DAY, NOW - 9 * DAY, EARLIEST + DAY, LATEST - DAY)
    assert_answers(events, database, (NOW - 10 * DAY, NOW), EVER, (NOW, LATEST), (EARLIEST, NOW - 9 * DAY))


def test_what_is_older_than_what_is_held_is_there_once_it_is_asked_for(database: str, live: Open) -> None:
    events = live(database)
    put(database, *(NOW - days * DAY for days in range(20)))
    events.window(NOW - 2 * DAY, NOW)
    put(database, NOW - 5 * DAY, NOW - 2.5 * DAY)
    assert_answers(events, database, (NOW - 2 * DAY, NOW))
    put(database, NOW - 5 * DAY, NOW - 15 * DAY)
    assert_answers(events, database, (NOW - 6 * DAY, NOW), (NOW - 16 * DAY, NOW - 10 * DAY), EVER)


def test_what_comes_while_a_longer_window_is_read_is_there_once(database: str, live: Open) -> None:
    source = Watched(database)
    events = live(source)
    put(database, *(NOW - days * DAY for days in range(10)))
    events.window(NOW - 2 * DAY, NOW)

    def meanwhile() -> None:
        put(database, NOW, NOW - 4 * DAY, NOW - 8 * DAY)
        events.window(NOW - DAY, NOW)

    source.happens_after(1, meanwhile)
    events.window(NOW - 5 * DAY, NOW)
    assert_answers(events, database, (NOW - 5 * DAY, NOW), (NOW - DAY, NOW), EVER)


@pytest.mark.usefixtures("small_pieces")
def test_no_more_is_held_than_there_is_memory_for(events_database: str, live: Open) -> None:
    limit = 1000 * EVENT_BYTES
    events = live(events_database, memory=limit)
    assert_answers(events, events_database, (FIRST, LATEST), EVER)
    # what is read at once is taken in whole, and is of whole days
    assert 0.8 * limit < held_bytes(events) < 1.8 * limit


@pytest.mark.usefixtures("small_pieces")
def test_the_warm_window_is_held_however_little_memory_there_is(database: str, live: Open) -> None:
    put(database, *(NOW - hours * HOUR for hours in range(96)))
    source = Watched(database)
    events = live(source, warm=2 * DAY, memory=0)
    events.window(NOW - 2 * DAY, NOW)
    put(database, NOW)
    read = source.windows
    assert_answers(events, database, (NOW - 2 * DAY, NOW), (NOW - DAY, NOW))
    assert source.windows == read
    assert_answers(events, database, (NOW - 4 * DAY, NOW))
    assert source.windows > read


@pytest.mark.parametrize("moment", [NOW, NOW - 6 * DAY], ids=["now", "the past"])
def test_what_comes_pushes_the_oldest_out_of_memory_and_not_out_of_answers(
    database: str, live: Open, moment: datetime
) -> None:
    events = live(database, memory=80 * EVENT_BYTES)
    put(database, *(NOW - hours * HOUR for hours in range(0, 240, 2)))
    windows = ((NOW - 2 * DAY, NOW), (NOW - 5 * DAY, NOW), (NOW - 7 * DAY, NOW - 3 * DAY), EVER)
    for _ in range(5):
        assert_answers(events, database, *windows)
        put(database, *[moment] * 10)
    events.window(NOW, NOW)
    assert held_bytes(events) <= 80 * EVENT_BYTES
    assert_answers(events, database, *windows)


def held_bytes(events: LiveEvents) -> int:
    held = events._shared.current
    assert held is not None
    return held.bytes


CHANGED_AT_ONCE = {
    "emptied": "TRUNCATE events",
    "emptied, and ids begin anew": "TRUNCATE events RESTART IDENTITY",
    "emptied in a transaction that fills it again": """
        CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM events WHERE id % 2 = 0;
        TRUNCATE events RESTART IDENTITY;
        INSERT INTO events (event_time, orchestrator, region_id, payload)
            SELECT event_time, orchestrator, region_id, '{"success_rate": 0.5}' FROM kept""",
    "all deleted": "DELETE FROM events",
    "the newest deleted": "DELETE FROM events WHERE id > 5",
}


@pytest.mark.parametrize("change", CHANGED_AT_ONCE.values(), ids=CHANGED_AT_ONCE.keys())
def test_what_was_emptied_is_gone_from_the_next_answer(database: str, live: Open, change: str) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    events = live(database)
    assert_answers(events, database, (NOW - 3 * DAY, NOW), EVER)
    rows(database, change)
    assert_answers(events, database, (NOW - 3 * DAY, NOW), EVER)
    put(database, *(NOW - days * DAY for days in range(5)), rate=0.25)
    assert_answers(events, database, (NOW - 3 * DAY, NOW), EVER)


def test_a_table_that_was_rewritten_answers_as_before(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    events = live(database)
    events.window(*EVER)
    rows(
        database, "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 2; DELETE FROM events WHERE id = 3"
    )
    rewrite(database)
    assert_answers(events, database, EVER, (NOW - 3 * DAY, NOW))


def test_a_database_made_anew_under_the_same_name_is_another(
    server: str, template: str, database: str, empty_database: str, live: Open
) -> None:
    backup, name = (psycopg2.extensions.parse_dsn(url)["dbname"] for url in (database, empty_database))
    clone(server, template, name)
    for url, rate in ((empty_database, 1), (database, 0)):
        put(url, NOW, NOW - DAY, rate=rate)
    events = live(empty_database)
    assert rates(events.window(*EVER)) == [1, 1]
    with writing(server.format("postgres")) as administrator:
        administrator.connection.autocommit = True
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
    clone(server, backup, name)
    assert rates(events.window(*EVER)) == [0, 0]


CHANGED_SOON = {
    "an event deleted": "DELETE FROM events WHERE id = 3",
    "an old event deleted": "DELETE FROM events WHERE id = 30",
    "a payload changed": "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 4",
    "times changed": "UPDATE events SET event_time = event_time - interval '36 hours' WHERE id % 2 = 0",
    "a region renamed": "UPDATE regions SET name = 'XYZ' WHERE name = 'FRA'",
    "an event of nobody": "UPDATE events SET region_id = NULL WHERE id = 2",
}


@pytest.mark.usefixtures("watchful")
@pytest.mark.parametrize("change", CHANGED_SOON.values(), ids=CHANGED_SOON.keys())
def test_what_an_administrator_changes_is_seen_soon(
    database: str, live: Open, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 7)
    put(database, *(NOW - days * DAY for days in range(40)))
    events = live(database)
    events.start()
    assert_answers(events, database, EVER)
    windows = (EVER, (NOW - 3 * DAY, NOW))
    before = [events.at(*window).version for window in windows]
    rows(database, change)
    assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
    assert_answers(events, database, *windows)
    assert eventually(lambda: events.at(*EVER).version != before[0])


@pytest.mark.usefixtures("watchful")
def test_what_no_counter_tells_of_is_seen_when_the_warm_window_is_read_again(database: str, live: Open) -> None:
    put(database, NOW, NOW - HOUR)
    events = live(database, warm=DAY, reread=0.1)
    events.start()
    events.window(NOW - DAY, NOW)
    with writing(database) as administrator:
        administrator.execute("SET track_counts = off")
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        administrator.execute("DELETE FROM events WHERE id = 2")
        administrator.connection.commit()
    assert eventually(lambda: rates(events.window(NOW - DAY, NOW)) == [0.5])


@pytest.mark.usefixtures("watchful")
def test_the_warm_window_is_loaded_before_anybody_asks(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(5)))
    source = Watched(database)
    events = live(source, warm=2 * DAY)
    events.start()
    assert eventually(lambda: source.windows > 0)
    assert eventually(lambda: events._shared.current is not None and events._shared.current.days != {})
    read = source.windows
    assert_answers(events, database, (NOW - 2 * DAY, NOW))
    assert source.windows == read


def test_ids_that_are_drawn_ahead_are_told_of_and_answers_are_right(
    database: str, live: Open, caplog: pytest.LogCaptureFixture
) -> None:
    rows(database, "ALTER SEQUENCE events_id_seq CACHE 10")
    events = live(database)
    with writing(database) as one, writing(database) as other:
        for at, writer in enumerate((one, other, one, other, one)):
            insert(writer, NOW - at * DAY)
            writer.connection.commit()
            assert events.at(*EVER).version is None
            assert_answers(events, database, EVER, (NOW - 2 * DAY, NOW))
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "ALTER SEQUENCE events_id_seq CACHE 1" in record.getMessage()


def test_connections_that_were_cut_are_made_anew(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW, NOW - 3 * DAY)
    for window in ((NOW - DAY, NOW), EVER, (NOW - 3 * DAY, NOW)):
        put(database, NOW)
        rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
             " AND datname = current_database()")  # fmt: skip
        assert_answers(events, database, window)


@pytest.mark.usefixtures("watchful")
def test_a_database_that_is_away_is_unavailable_and_the_keeper_goes_on(live: Open) -> None:
    events = live("postgresql://nobody@127.0.0.1:1/nothing", timeout=1)
    events.start()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            events.window(NOW - DAY, NOW)
    assert any(thread.name == KEEPER for thread in threading.enumerate())


@pytest.mark.usefixtures("watchful")
def test_a_database_that_comes_later_is_answered_from(
    server: str, template: str, empty_database: str, live: Open
) -> None:
    events = live(empty_database)
    events.start()
    with pytest.raises(StoreUnavailable):
        events.window(NOW - DAY, NOW)
    clone(server, template, psycopg2.extensions.parse_dsn(empty_database)["dbname"])
    put(empty_database, NOW)
    assert_answers(events, empty_database, EVER)


@pytest.mark.usefixtures("watchful")
def test_a_database_that_takes_too_long_is_a_time_out_for_all_and_afterwards_all_is_well(
    database: str, live: Open
) -> None:
    events = live(database, timeout=0.2)
    events.start()
    put(database, NOW, NOW - 3 * DAY)
    assert_answers(events, database, (NOW - DAY, NOW))
    with locked(database), ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(events.window, NOW - DAY, NOW) for _ in range(6)]
        assert {type(each.exception(20)) for each in asked} == {StoreTimeout}
    put(database, NOW)
    assert_answers(events, database, (NOW - DAY, NOW), EVER)


def test_a_longer_window_that_takes_too_long_is_a_time_out_and_afterwards_all_is_well(
    database: str, live: Open
) -> None:
    source = Watched(database, timeout=0.3)
    events = live(source)
    put(database, *(NOW - days * DAY for days in range(5)))
    assert_answers(events, database, (NOW - DAY, NOW))
    longer = events.at(NOW - 4 * DAY, NOW)
    with locked(database), pytest.raises(StoreTimeout):
        longer.load()
    assert ids(longer.load()) == [1, 2, 3, 4, 5]
    assert_answers(events, database, EVER)


@pytest.mark.parametrize("asked_before", [True, False], ids=["held", "cold"])
@pytest.mark.parametrize("kept", [True, False], ids=["committed", "rolled back"])
def test_a_writer_that_takes_its_time_is_waited_for_by_nobody(
    database: str, live: Open, asked_before: bool, kept: bool
) -> None:
    events = live(database)
    put(database, NOW, NOW - 3 * DAY)
    if asked_before:
        events.window(NOW - DAY, NOW)
    windows = (EVER, (NOW - DAY, NOW), (NOW - 5 * DAY, NOW - 2 * DAY))
    with writing(database) as slow, writing(database) as quick:
        insert(slow)
        insert(slow, NOW - 3 * DAY)
        for at in (NOW, NOW - 4 * DAY, NOW - 3 * DAY):
            insert(quick, at)
            assert_answers(events, database, *windows)
            quick.connection.commit()
            assert_answers(events, database, *windows)
        insert(slow)
        assert len(stored(database)) == 5
        if kept:
            slow.connection.commit()
        assert_answers(events, database, *windows)
    assert_answers(events, database, *windows)
    assert len(stored(database)) == (8 if kept else 5)


def test_a_writer_that_came_later_than_the_one_awaited_is_not_missed(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW)
    with writing(database) as one, writing(database) as other, writing(database) as third:
        insert(one)
        put(database, NOW)
        assert_answers(events, database, EVER)
        insert(other)
        put(database, NOW)
        assert_answers(events, database, EVER)
        one.connection.commit()
        insert(third)
        assert_answers(events, database, EVER)
        put(database, NOW)
        other.connection.commit()
        assert_answers(events, database, EVER)
        third.connection.commit()
        assert_answers(events, database, EVER)
    assert len(stored(database)) == 7


@pytest.mark.usefixtures("watchful")
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_table_that_is_rewritten_while_all_is_read_again_answers_whole(
    database: str, live: Open, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 2)
    put(database, *(NOW - days * DAY for days in range(8)))
    source = Watched(database)
    events = live(source)
    events.start()
    assert eventually(lambda: events.at(*EVER).version is not None)
    events.window(*EVER)

    done = threading.Event()

    def meanwhile() -> None:
        rewrite(database)
        events.at(NOW, NOW)
        done.set()

    source.happens_after(pieces, meanwhile)
    rows(database, "UPDATE events SET payload = payload")
    assert done.wait(20)
    # the keeper goes on with the rest
    time.sleep(0.3)
    assert_answers(events, database, (NOW - 2 * DAY, NOW), (NOW - 4 * DAY, NOW), EVER)


@pytest.mark.usefixtures("watchful")
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_what_is_dropped_from_memory_while_all_is_read_again_is_in_answers(
    database: str, live: Open, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 2)
    put(database, *(NOW - days * DAY for days in range(8)))
    source = Watched(database)
    events = live(source, memory=8 * EVENT_BYTES)
    events.start()
    assert eventually(lambda: events.at(*EVER).version is not None)
    events.window(NOW - 7.5 * DAY, NOW)

    done = threading.Event()

    def meanwhile() -> None:
        put(database, *[NOW] * 6)
        events.at(NOW, NOW)
        done.set()

    source.happens_after(pieces, meanwhile)
    rows(database, "UPDATE events SET payload = payload")
    assert done.wait(20)
    # the keeper goes on with the rest
    time.sleep(0.3)
    assert_answers(events, database, (NOW - 6.5 * DAY, NOW), (NOW - 3 * DAY, NOW), EVER)


@pytest.mark.usefixtures("watchful")
def test_what_stays_in_memory_is_read_again_though_other_events_are_dropped_meanwhile(
    database: str, live: Open
) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = Watched(database)
    events = live(source, memory=8 * EVENT_BYTES)
    events.start()
    assert eventually(lambda: events.at(*EVER).version is not None)
    events.window(NOW - 7.5 * DAY, NOW)

    def meanwhile() -> None:
        put(database, *[NOW] * 4, rate=0.5)
        events.at(NOW, NOW)

    source.happens_after(1, meanwhile)
    rows(database, "UPDATE events SET payload = '{\"success_rate\": 0.5}'")
    assert eventually(lambda: set(rates(events.window(NOW - 2.5 * DAY, NOW))) == {0.5})


@pytest.mark.usefixtures("watchful")
def test_what_is_read_again_is_not_lost_where_new_events_come_meanwhile(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(4)))
    source = Watched(database)
    events = live(source)
    events.start()
    assert eventually(lambda: events.at(*EVER).version is not None)
    events.window(*EVER)
    refreshing = threading.Event()

    def while_it_is_taken_in() -> None:
        refreshing.set()
        time.sleep(0.3)

    def meanwhile() -> None:
        put(database, NOW, rate=0.5)
        source.happens_during_refresh(while_it_is_taken_in)
        run_in_thread(events.at, NOW, NOW)
        assert refreshing.wait(20)

    source.happens_after(1, meanwhile)
    rows(database, "UPDATE events SET payload = '{\"success_rate\": 0.5}'")
    assert eventually(lambda: rates(events.window(*EVER)) == [0.5] * 5)


@pytest.mark.parametrize("held", [True, False], ids=["some of it held", "cold"])
def test_what_was_read_of_a_table_before_it_was_emptied_is_not_kept(database: str, live: Open, held: bool) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = Watched(database)
    events = live(source)
    if held:
        events.window(NOW - 2 * DAY, NOW)

    def meanwhile() -> None:
        rows(database, "TRUNCATE events RESTART IDENTITY")
        put(database, NOW, NOW - 4 * DAY, rate=0.5)
        events.at(NOW, NOW)

    source.happens_after(1, meanwhile)
    events.window(NOW - 6 * DAY, NOW)
    assert_answers(events, database, (NOW - 6 * DAY, NOW), (NOW - DAY, NOW), EVER)


def test_what_unsettled_events_push_out_of_memory_while_a_longer_window_is_read_is_in_answers(
    database: str, live: Open
) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = Watched(database)
    events = live(source, memory=9 * EVENT_BYTES)
    events.window(NOW - 3 * DAY, NOW)
    with writing(database) as slow:
        insert(slow)
        events.at(NOW, NOW)

        def meanwhile() -> None:
            put(database, *[NOW] * 6)
            events.at(NOW, NOW)

        source.happens_after(1, meanwhile)
        events.window(NOW - 6.5 * DAY, NOW)
        assert_answers(events, database, (NOW - 6.5 * DAY, NOW), (NOW - 3 * DAY, NOW), EVER)


@pytest.mark.usefixtures("watchful")
def test_a_change_while_a_longer_window_is_read_is_not_overlooked(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = Watched(database)
    events = live(source)
    events.start()
    assert eventually(lambda: events.at(*EVER).version is not None)
    events.window(NOW - 3 * DAY, NOW)
    # the keeper has nothing to read until then
    time.sleep(0.1)

    def meanwhile() -> None:
        rows(database, "UPDATE events SET payload = '{\"success_rate\": 0.5}'")
        eventually(lambda: rates(events.window(NOW - DAY, NOW)) == [0.5, 0.5], 1)

    source.happens_after(1, meanwhile)
    events.window(NOW - 6.5 * DAY, NOW)
    assert eventually(lambda: set(rates(events.window(NOW - 6.5 * DAY, NOW))) == {0.5})


@pytest.mark.usefixtures("watchful")
def test_a_change_before_the_keeper_has_begun_is_not_overlooked(database: str, live: Open) -> None:
    put(database, NOW, NOW - DAY)
    events = live(database)
    assert rates(events.window(NOW - 2 * DAY, NOW)) == [1, 1]
    rows(database, "UPDATE events SET payload = '{\"success_rate\": 0.5}'")
    events.start()
    assert eventually(lambda: rates(events.window(NOW - 2 * DAY, NOW)) == [0.5, 0.5])


@pytest.mark.usefixtures("watchful")
def test_answers_stay_whole_while_all_that_can_happen_to_memory_happens(
    database: str, live: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 20)
    put(database, *(NOW - hours * HOUR for hours in range(0, 480, 3)))
    events = live(database, warm=2 * DAY, memory=80 * EVENT_BYTES, reread=0.05)
    events.start()
    picked = Random(3)
    windows = [(NOW - picked.uniform(0, 21) * DAY, NOW - picked.uniform(-1, 3) * DAY) for _ in range(8)]
    expected = [ids(SOURCES.setdefault(database, PostgresEvents(database)).window(*window)) for window in windows]
    end = time.monotonic() + 3

    def ask(seed: int) -> int:
        random, asked = Random(seed), 0
        while time.monotonic() < end:
            number = random.randrange(len(windows))
            assert ids(events.window(*windows[number])) == expected[number]
            asked += 1
        return asked

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, seed) for seed in range(3)]
        while time.monotonic() < end:
            # nothing of this changes which events there are
            rows(database, "UPDATE events SET payload = payload WHERE id % 7 = 0")
            with writing(database) as writer:
                for _ in range(40):
                    insert(writer)
            rewrite(database)
            time.sleep(0.1)
        assert all(each.result(20) > 0 for each in asking)


@pytest.fixture
def versions(database: str, live: Open, watchful: None) -> Callable[[datetime, datetime], str]:
    """The version of a window on which two agree, of whom one holds all there was when it was first asked for."""
    both: list[LiveEvents] = []

    def version(since: datetime, until: datetime) -> str:
        if not both:
            both.extend((live(database), live(database)))
            both[0].window(*EVER)
            for events in both:
                events.start()
        found: set[str | None] = set()

        def agree() -> bool:
            found.clear()
            found.update(events.at(since, until).version for events in both)
            return len(found) == 1 and None not in found

        both[1].window(since, until)
        assert eventually(agree), found
        return found.pop() or ""

    return version


def test_a_version_is_that_of_the_content_and_not_of_who_holds_it(
    database: str, versions: Callable[[datetime, datetime], str]
) -> None:
    put(database, *(NOW - days * DAY for days in range(20)))
    windows = [(NOW - days * DAY + HOUR, NOW - until * DAY) for days in (1, 6, 9) for until in (-1, 0, 0.5, 0.9)]
    found: dict[str, list[int]] = {}
    for window in windows:
        content = stored(database, window)["id"].to_list()
        assert found.setdefault(versions(*window), content) == content


def test_a_version_is_another_once_an_event_comes(database: str, versions: Callable[[datetime, datetime], str]) -> None:
    window, found = (NOW - 3 * DAY, NOW), []
    for at in (NOW, NOW, NOW - 2 * DAY):
        put(database, at)
        found.append(versions(*window))
    assert len(set(found)) == 3


@pytest.mark.usefixtures("watchful")
def test_a_version_is_another_for_whatever_comes_beside_a_writer_that_takes_its_time(database: str, live: Open) -> None:
    put(database, NOW)
    events, found = live(database), []
    events.start()
    events.window(NOW - DAY, NOW)
    assert eventually(lambda: events.at(NOW - DAY, NOW).version is not None)
    time.sleep(0.1)
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


def test_a_version_stays_as_its_window_moves_until_an_event_leaves_or_enters_it(
    database: str, versions: Callable[[datetime, datetime], str]
) -> None:
    put(database, NOW - 2 * DAY, NOW - DAY, NOW + DAY)
    second = timedelta(seconds=1)
    at_first = versions(NOW - 2 * DAY - HOUR, NOW)
    assert {versions(NOW - 2 * DAY - HOUR + n * second, NOW + n * second) for n in (1, 60, 3600)} == {at_first}
    gone = versions(NOW - 2 * DAY + MICROSECOND, NOW + HOUR)
    come = versions(NOW - 2 * DAY, NOW + DAY)
    assert len({at_first, gone, come}) == 3


@pytest.mark.usefixtures("watchful")
def test_a_version_is_another_once_the_table_was_emptied_and_filled_again(database: str, live: Open) -> None:
    events, window, found = live(database), (NOW - DAY, NOW), {}
    events.start()
    assert eventually(lambda: events.at(*window).version is not None)
    for rate in (1.0, 0.5):
        rows(database, "TRUNCATE events RESTART IDENTITY")
        put(database, NOW, NOW, rate=rate)
        events.window(*window)
        assert eventually(lambda: events.at(*window).version is not None)
        looked = events.at(*window)
        found[looked.version] = rates(looked.load())
    assert sorted(found.values()) == [[0.5, 0.5], [1, 1]]


@pytest.mark.usefixtures("watchful")
def test_a_version_is_another_once_a_change_was_seen_that_no_counter_tells_of(database: str, live: Open) -> None:
    put(database, NOW, NOW)
    events, window, found = live(database, warm=DAY, reread=0.1), (NOW - HOUR, NOW), {}
    events.start()

    def is_now(rate: float) -> bool:
        looked = events.at(*window)
        seen = rates(looked.load())
        if looked.version is not None:
            assert found.setdefault(looked.version, seen) == seen
        return seen == [rate, rate] and looked.version is not None

    assert eventually(lambda: is_now(1))
    time.sleep(0.1)
    assert is_now(1)
    with writing(database) as administrator:
        administrator.execute("SET track_counts = off")
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}'")
        administrator.connection.commit()
    assert eventually(lambda: is_now(0.5))


def test_a_version_is_another_once_the_newest_was_deleted_and_another_changed(database: str, live: Open) -> None:
    events, window, found = live(database), (NOW - DAY, NOW), {}
    for _ in range(3):
        put(database, NOW)
        events.window(*window)
        looked = events.at(*window)
        found[looked.version] = rates(looked.load())
    with writing(database) as administrator:
        administrator.execute("SET track_counts = off")
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        administrator.execute("DELETE FROM events WHERE id = 3")
        administrator.connection.commit()
    events.window(*window)
    looked = events.at(*window)
    assert rates(looked.load()) == [0.5, 1]
    assert looked.version is None or looked.version not in found


@pytest.mark.usefixtures("watchful")
def test_a_version_is_another_once_the_newest_was_deleted_after_another_change_was_seen(
    database: str, live: Open
) -> None:
    put(database, NOW, NOW)
    events, window = live(database, warm=DAY, reread=0.1), (NOW - HOUR, NOW)
    events.start()
    events.window(*window)
    with writing(database) as administrator:
        administrator.execute("SET track_counts = off")
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        administrator.connection.commit()
        assert eventually(lambda: rates(events.window(*window)) == [0.5, 1])
        before = events.at(*window).version
        put(database, NOW)
        events.at(*window)
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.25}' WHERE id = 1")
        administrator.execute("DELETE FROM events WHERE id = 3")
        administrator.connection.commit()
    assert rates(events.window(*window)) == [0.25, 1]
    assert events.at(*window).version != before


@pytest.mark.usefixtures("watchful")
def test_a_version_never_stands_for_two_contents(database: str, live: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 1)
    put(database, *(NOW - days * DAY for days in range(5)))
    events, window = live(database), (NOW - 5 * DAY, NOW)
    events.start()
    found: dict[str, set[tuple[float, ...]]] = {}
    end = time.monotonic() + 2

    def ask() -> None:
        while time.monotonic() < end:
            looked = events.at(*window)
            if looked.version is not None:
                found.setdefault(looked.version, set()).add(tuple(rates(looked.load())))

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        rate = 1
        while time.monotonic() < end:
            rate += 1
            rows(database, f"UPDATE events SET payload = '{{\"success_rate\": {rate}}}'")
            time.sleep(0.1)
        for each in asking:
            each.result(20)
    assert len(found) > 3
    assert {version: contents for version, contents in found.items() if len(contents) > 1} == {}


def test_what_was_looked_at_is_what_is_read(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW, NOW - DAY)
    events.window(NOW - 2 * DAY, NOW)
    looked = events.at(NOW - 2 * DAY, NOW)
    put(database, NOW)
    assert ids(looked.load()) == [1, 2]


def test_the_results_of_one_orchestrator_are_the_databases(events_database: str, live: Open) -> None:
    asked = conformance("events")["events"][0][1], FIRST, LAST, TRANSCODING
    with closing(PostgresEvents(events_database)) as source:
        expected = source.results(*asked).collect().sort("id")
    assert expected.height > 0
    assert_frame_equal(live(events_database).results(*asked).load().collect().sort("id"), expected)


@pytest.mark.parametrize("started", [True, False], ids=["started", "never started"])
def test_who_is_closed_leaves_no_thread_and_no_connection(database: str, live: Open, started: bool) -> None:
    events = live(database)
    if started:
        events.start()
    events.window(*EVER)
    events.close()
    assert not any(thread.name == KEEPER for thread in threading.enumerate())
    connected = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    assert eventually(lambda: rows(database, connected) == [(0,)])
