"""What an administrator does to stored events shows in the next window, or soon after."""

import threading
from collections.abc import Iterator
from contextlib import suppress

import psycopg2
import pytest

from tests.conftest import clone, rows
from tests.queries.sources.live.support import (
    DAY,
    EVER,
    HOUR,
    NOW,
    Open,
    WatchedEvents,
    assert_equals_database,
    content,
    put,
    rates,
    rewrite,
    set_rates,
    stored,
    touch,
    unnoticed,
    writing,
)
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

EMPTIED = {
    "emptied": "TRUNCATE events",
    "emptied, and ids start at 1 again": "TRUNCATE events RESTART IDENTITY",
    "emptied in a transaction that fills it again": """
        CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM events WHERE id % 2 = 0;
        TRUNCATE events RESTART IDENTITY;
        INSERT INTO events (event_time, orchestrator, region_id, payload)
            SELECT event_time, orchestrator, region_id, '{"success_rate": 0.5}' FROM kept""",
    "all deleted": "DELETE FROM events",
    "the newest deleted": "DELETE FROM events WHERE id > 5",
}


@pytest.mark.parametrize("change", EMPTIED.values(), ids=EMPTIED.keys())
def test_emptied_table_is_empty_in_the_next_window(database: str, live: Open, change: str) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    events = live(database)
    assert_equals_database(events, database, (NOW - 3 * DAY, NOW), EVER)
    rows(database, change)
    assert_equals_database(events, database, (NOW - 3 * DAY, NOW), EVER)
    put(database, *(NOW - days * DAY for days in range(5)), rate=0.25)
    assert_equals_database(events, database, (NOW - 3 * DAY, NOW), EVER)


def test_rewritten_table_is_read_again(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    events = live(database)
    events.window(*EVER)
    rows(
        database, "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 2; DELETE FROM events WHERE id = 3"
    )
    rewrite(database)
    assert_equals_database(events, database, EVER, (NOW - 3 * DAY, NOW))


def test_database_created_again_under_its_name_is_another_one(
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


CHANGED = {
    "an event deleted": "DELETE FROM events WHERE id = 3",
    "an old event deleted": "DELETE FROM events WHERE id = 30",
    "a payload changed": "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 4",
    "times changed": "UPDATE events SET event_time = event_time - interval '36 hours' WHERE id % 2 = 0",
    "a region renamed": "UPDATE regions SET name = 'XYZ' WHERE name = 'FRA'",
    "an event without a region": "UPDATE events SET region_id = NULL WHERE id = 2",
}


@pytest.mark.usefixtures("frequent_polls")
@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_counted_change_is_seen_soon(database: str, live: Open, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr("queries.sources.live.day_reader.CHUNK_ROWS", 7)
    put(database, *(NOW - days * DAY for days in range(40)))
    events = live(database)
    events.start()
    assert_equals_database(events, database, EVER)
    windows = (EVER, (NOW - 3 * DAY, NOW))
    version = events.at(*EVER).version
    rows(database, change)
    assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
    assert_equals_database(events, database, *windows)
    assert eventually(lambda: events.at(*EVER).version != version)


@pytest.mark.usefixtures("frequent_polls")
def test_uncounted_change_is_seen_when_the_warm_window_is_reloaded(database: str, live: Open) -> None:
    put(database, NOW, NOW - HOUR)
    events = live(database, warm_window=DAY, reload_interval=0.1)
    events.start()
    events.window(NOW - DAY, NOW)
    with unnoticed(database) as administrator:
        administrator.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        administrator.execute("DELETE FROM events WHERE id = 2")
        administrator.connection.commit()
    assert eventually(lambda: rates(events.window(NOW - DAY, NOW)) == [0.5])


@pytest.mark.usefixtures("frequent_polls", "chunks_of_a_day")
@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_rewrite_during_a_reload_leaves_windows_whole(database: str, live: Open, chunks: int) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source)
    events.start()
    source.wait_for_rounds()
    events.window(*EVER)
    rewritten = threading.Event()

    def meanwhile() -> None:
        rewrite(database)
        events.at(NOW, NOW)
        rewritten.set()

    source.run_after(chunks, meanwhile)
    touch(database)
    assert rewritten.wait(60)
    source.wait_for_rounds()
    assert_equals_database(events, database, (NOW - 2 * DAY, NOW), (NOW - 4 * DAY, NOW), EVER)


@pytest.mark.parametrize("cached", [True, False], ids=["some of it cached", "nothing cached"])
def test_chunk_of_a_table_that_was_emptied_meanwhile_is_dropped(database: str, live: Open, cached: bool) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source)
    if cached:
        events.window(NOW - 2 * DAY, NOW)

    def meanwhile() -> None:
        rows(database, "TRUNCATE events RESTART IDENTITY")
        put(database, NOW, NOW - 4 * DAY, rate=0.5)
        events.at(NOW, NOW)

    source.run_after(1, meanwhile)
    events.window(NOW - 6 * DAY, NOW)
    assert_equals_database(events, database, (NOW - 6 * DAY, NOW), (NOW - DAY, NOW), EVER)


@pytest.mark.usefixtures("frequent_polls")
def test_change_during_a_backfill_is_seen(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(8)))
    source = WatchedEvents(database)
    events = live(source)
    events.start()
    source.wait_for_rounds()
    events.window(NOW - 3 * DAY, NOW)
    # until then, only the window below reads
    source.wait_for_rounds()

    def meanwhile() -> None:
        set_rates(database, 0.5)
        assert eventually(lambda: rates(events.window(NOW - DAY, NOW)) == [0.5, 0.5])

    source.run_after(1, meanwhile)
    events.window(NOW - 6.5 * DAY, NOW)
    assert eventually(lambda: set(rates(events.window(NOW - 6.5 * DAY, NOW))) == {0.5})


@pytest.mark.usefixtures("frequent_polls")
def test_change_before_the_start_of_the_thread_is_seen(database: str, live: Open) -> None:
    put(database, NOW, NOW - DAY)
    events = live(database)
    assert rates(events.window(NOW - 2 * DAY, NOW)) == [1, 1]
    set_rates(database, 0.5)
    events.start()
    assert eventually(lambda: rates(events.window(NOW - 2 * DAY, NOW)) == [0.5, 0.5])


def test_one_delete_after_the_other_is_seen_within_seconds(database: str, live: Open) -> None:
    # the database counts changes late, and another is made before that
    put(database, *(NOW - days * DAY for days in range(40)))
    events = live(database, warm_window=60 * DAY)
    events.start()
    events.window(*EVER)
    with writing(database) as administrator:
        administrator.connection.autocommit = True
        for number in range(4):
            administrator.execute(f"DELETE FROM events WHERE id = {3 + 9 * number}")
            assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)), seconds=8)


@pytest.mark.usefixtures("frequent_polls", "chunks_of_a_day")
def test_only_the_changed_days_are_read_again(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(40)))
    source = WatchedEvents(database)
    events = live(source, warm_window=60 * DAY)
    events.start()
    events.window(*EVER)
    source.wait_for_rounds()
    read = source.windows
    rows(
        database, "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 9; DELETE FROM events WHERE id = 30"
    )
    assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
    source.wait_for_rounds()
    assert 2 <= source.windows - read <= 4


@pytest.mark.usefixtures("frequent_polls")
def test_change_that_is_committed_after_a_later_one_is_seen(database: str, live: Open) -> None:
    put(database, *(NOW - days * DAY for days in range(20)))
    events = live(database, warm_window=60 * DAY)
    events.start()
    events.window(*EVER)
    with writing(database) as early, writing(database) as late:
        early.execute("DELETE FROM events WHERE id = 3")
        early.execute("SAVEPOINT here")
        early.execute("DELETE FROM events WHERE id = 4")
        early.execute("ROLLBACK TO here")
        for number in (7, 12, 15):
            late.execute(f"DELETE FROM events WHERE id = {number}")
            late.connection.commit()
            assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
        early.execute("DELETE FROM events WHERE id = 4")
        early.connection.commit()
    assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
    assert len(stored(database)) == 15


@pytest.mark.usefixtures("frequent_polls")
@pytest.mark.parametrize(
    "hide",
    [
        "REVOKE SELECT ON event_changes FROM reader",
        "ALTER TABLE events DISABLE TRIGGER note_event_change",
        "DROP TABLE event_changes; DROP TRIGGER note_event_change ON events",
    ],
)
def test_without_the_log_of_changes_the_counters_tell(database: str, live: Open, reader: str, hide: str) -> None:
    put(database, *(NOW - days * DAY for days in range(20)))
    rows(database, hide)
    events = live(reader, warm_window=60 * DAY)
    events.start()
    events.window(*EVER)
    rows(database, "DELETE FROM events WHERE id = 9")
    assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))


@pytest.mark.usefixtures("frequent_polls")
def test_role_that_may_only_delete_events_leaves_a_note(database: str, live: Open, reader: str) -> None:
    put(database, *(NOW - days * DAY for days in range(20)))
    rows(database, "GRANT DELETE ON events TO reader")
    events = live(database, warm_window=60 * DAY)
    events.start()
    events.window(*EVER)
    rows(reader, "DELETE FROM events WHERE id = 9")
    assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """The URL of a role that may read everything."""
    with suppress(psycopg2.errors.DuplicateObject):
        rows(database, "CREATE ROLE reader LOGIN")
    rows(database, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    yield database.replace("postgres@", "reader@")
    rows(database, "DROP OWNED BY reader")
