"""A transaction that has drawn ids and not ended keeps no event out of a window, and nobody waits for it."""

import logging

import pytest

from tests.conftest import rows
from tests.queries.sources.live.support import (
    DAY,
    EVER,
    NOW,
    Open,
    WatchedEvents,
    assert_equals_database,
    content,
    insert,
    put,
    stored,
    writing,
)
from tests.support.postgres import StoppablePostgres
from tests.support.waiting import eventually


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "nothing cached"])
@pytest.mark.parametrize("kept", [True, False], ids=["committed", "rolled back"])
def test_slow_writer_delays_no_window(database: str, live: Open, cached: bool, kept: bool) -> None:
    events = live(database)
    put(database, NOW, NOW - 3 * DAY)
    if cached:
        events.window(NOW - DAY, NOW)
    windows = (EVER, (NOW - DAY, NOW), (NOW - 5 * DAY, NOW - 2 * DAY))
    with writing(database) as slow, writing(database) as quick:
        insert(slow)
        insert(slow, NOW - 3 * DAY)
        for at in (NOW, NOW - 4 * DAY, NOW - 3 * DAY):
            insert(quick, at)
            assert_equals_database(events, database, *windows)
            quick.connection.commit()
            assert_equals_database(events, database, *windows)
        insert(slow)
        assert len(stored(database)) == 5
        if kept:
            slow.connection.commit()
        assert_equals_database(events, database, *windows)
    assert_equals_database(events, database, *windows)
    assert len(stored(database)) == (8 if kept else 5)


def test_writer_that_came_after_the_awaited_one_is_not_missed(database: str, live: Open) -> None:
    events = live(database)
    put(database, NOW)
    with writing(database) as first, writing(database) as second, writing(database) as third:
        insert(first)
        put(database, NOW)
        assert_equals_database(events, database, EVER)
        insert(second)
        put(database, NOW)
        assert_equals_database(events, database, EVER)
        first.connection.commit()
        insert(third)
        assert_equals_database(events, database, EVER)
        put(database, NOW)
        second.connection.commit()
        assert_equals_database(events, database, EVER)
        third.connection.commit()
        assert_equals_database(events, database, EVER)
    assert len(stored(database)) == 7


def test_ids_drawn_ahead_are_logged_and_windows_are_right(
    database: str, live: Open, caplog: pytest.LogCaptureFixture
) -> None:
    rows(database, "ALTER SEQUENCE events_id_seq CACHE 10")
    events = live(database)
    with writing(database) as one, writing(database) as other:
        for at, writer in enumerate((one, other, one, other, one)):
            insert(writer, NOW - at * DAY)
            writer.connection.commit()
            assert events.at(*EVER).version is None
            assert_equals_database(events, database, EVER, (NOW - 2 * DAY, NOW))
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "ALTER SEQUENCE events_id_seq CACHE 1" in record.getMessage()


@pytest.fixture
def forgotten_at_once(frequent_polls: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer counts as forgotten at once, and the log says so all the time."""
    monkeypatch.setattr("queries.sources.activity.forgotten_writers.FORGOTTEN_AFTER_SECONDS", 0)
    monkeypatch.setattr("queries.sources.activity.forgotten_writers.WARNING_SECONDS", 0)


@pytest.mark.usefixtures("forgotten_at_once")
def test_forgotten_transaction_is_named_in_the_log(database: str, live: Open, caplog: pytest.LogCaptureFixture) -> None:
    events = live(database)
    events.start()
    with writing(database) as forgotten:
        forgotten.execute("SET application_name = 'by hand'")
        insert(forgotten)
        pid = forgotten.connection.get_backend_pid()
        warning = f"the session {pid} (by hand) of postgres, idle in transaction, wrote events and has been open for"
        assert eventually(lambda: warning in caplog.text)
        assert f"SELECT pg_terminate_backend({pid})" in caplog.text
    caplog.clear()
    put(database, NOW)
    assert_equals_database(events, database, EVER)
    assert "wrote events and has been open" not in caplog.text


def test_prepared_transaction_is_named_in_the_log(
    stoppable_postgres: StoppablePostgres,
    live: Open,
    caplog: pytest.LogCaptureFixture,
    forgotten_at_once: None,
) -> None:
    url = stoppable_postgres.url
    with writing(url) as administrator:
        administrator.connection.autocommit = True
        administrator.execute("ALTER SYSTEM SET max_prepared_transactions = 2")
    stoppable_postgres.stop()
    stoppable_postgres.start()
    events = live(url)
    events.start()
    with writing(url) as forgotten:
        insert(forgotten)
        forgotten.execute("PREPARE TRANSACTION 'half done'")
    assert eventually(lambda: "the prepared transaction 'half done' of postgres wrote events" in caplog.text)
    assert "ROLLBACK PREPARED 'half done'" in caplog.text
    with writing(url) as administrator:
        administrator.connection.autocommit = True
        administrator.execute("COMMIT PREPARED 'half done'")
    assert_equals_database(events, url, EVER)


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unsettled events are kept, and only new ones read, from the first of them on."""
    monkeypatch.setattr("queries.sources.live.new_events.MIN_INCREMENTAL_EVENTS", 1)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("kept", [True, False], ids=["committed", "rolled back"])
def test_beside_a_forgotten_transaction_only_new_events_are_read(database: str, live: Open, kept: bool) -> None:
    source = WatchedEvents(database)
    events = live(source)
    put(database, NOW)
    events.window(*EVER)
    with writing(database) as forgotten, writing(database) as slow:
        insert(forgotten)
        put(database, *[NOW] * 50)
        insert(slow, NOW - 3 * DAY)
        put(database, *[NOW - DAY] * 50)
        assert_equals_database(events, database, EVER)
        read = source.new_events
        for at in (NOW, NOW - 2 * DAY, NOW):
            put(database, at)
            assert_equals_database(events, database, EVER, (NOW - DAY, NOW))
        assert source.new_events == read + 3
        # an id that was missing, between others that are known
        slow.connection.commit()
        assert_equals_database(events, database, EVER)
        insert(forgotten, NOW - 4 * DAY)
        if kept:
            forgotten.connection.commit()
        else:
            forgotten.connection.rollback()
        assert_equals_database(events, database, EVER, (NOW - DAY, NOW))
    put(database, NOW)
    assert_equals_database(events, database, EVER, (NOW - DAY, NOW))
    assert len(stored(database)) == 106 + 2 * kept


@pytest.mark.usefixtures("few_are_many", "frequent_polls")
def test_changes_of_unsettled_events_are_seen(database: str, live: Open) -> None:
    events = live(database, warm_window=9 * DAY)
    events.start()
    put(database, NOW)
    events.window(*EVER)
    with writing(database) as forgotten:
        insert(forgotten)
        put(database, *(NOW - days * DAY for days in range(5)))
        assert_equals_database(events, database, EVER)
        rows(
            database,
            "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 4; DELETE FROM events WHERE id = 5",
        )
        assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
        rows(database, "UPDATE events SET event_time = event_time - interval '2 days' WHERE id = 6")
        assert eventually(lambda: content(events.window(*EVER)).equals(stored(database)))
        forgotten.connection.commit()
    assert_equals_database(events, database, EVER, (NOW - DAY, NOW))
