"""A transaction that has drawn ids and not ended keeps no event out of a window, and nobody waits for it."""

import logging

import pytest

from tests.conftest import rows
from tests.queries.sources.live.support import (
    DAY,
    EVER,
    NOW,
    Open,
    assert_equals_database,
    insert,
    put,
    stored,
    writing,
)


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
