"""The database notes the days of events that were changed."""

import psycopg2
import pytest

from leaderboard.postgres.migrations import Migrator, migrate
from queries import StoreTimeout
from tests.conftest import rows

NOTES = "SELECT day FROM event_changes ORDER BY made_by, day"
ALL_DAYS = -(2**31)


@pytest.fixture
def url(database: str) -> str:
    """A database with an event on each of ten days from 1970-01-02 on, and one at no moment."""
    rows(
        database,
        "INSERT INTO events (event_time, orchestrator, region_id, payload) "
        "SELECT '1970-01-01 12:00+00'::timestamptz + n * interval '1 day', '0x', 1, '{}' "
        "FROM generate_series(1, 10) n; "
        "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES ('infinity', '0x', 1, '{}')",
    )
    return database


@pytest.mark.parametrize(
    ("statement", "days"),
    [
        ("DELETE FROM events WHERE id = 3", [3]),
        ("DELETE FROM events WHERE id IN (3, 5); DELETE FROM events WHERE id = 4", [3, 4, 5]),
        ("UPDATE events SET payload = '{}' WHERE id < 4", [1, 2, 3]),
        ("UPDATE events SET event_time = event_time + interval '30 days' WHERE id = 3", [3, 33]),
        ("UPDATE events SET event_time = event_time - interval '3 days' WHERE id = 2", [-1, 2]),
        ("UPDATE events SET event_time = '-infinity' WHERE id = 2", [2]),
        ("DELETE FROM events WHERE id = 11", []),
        ("UPDATE events SET event_time = '1970-01-03 00:00+00' WHERE id = 11", [2]),
        ("UPDATE events SET event_time = '0044-03-15 00:00+00 BC' WHERE id = 11", [-735160]),
        ("UPDATE regions SET name = 'NEW' WHERE id = 1", [ALL_DAYS]),
        ("UPDATE regions SET display_name = 'New' WHERE id = 1", []),
        ("INSERT INTO events (orchestrator, region_id, payload) VALUES ('0x', 1, '{}')", []),
    ],
)
def test_change_is_noted_by_its_day(url: str, statement: str, days: list[int]) -> None:
    rows(url, statement)
    assert rows(url, NOTES) == [(day,) for day in days]


def test_notes_of_long_ago_are_deleted(url: str) -> None:
    rows(url, "DELETE FROM events WHERE id = 3; UPDATE event_changes SET made_at = now() - interval '2 days'")
    rows(url, "DELETE FROM events WHERE id = 4")
    assert rows(url, NOTES) == [(4,)]


def test_migration_does_not_wait_long_for_a_forgotten_transaction(url: str) -> None:
    with Migrator(url, 20) as migrator:
        migrator.goto(5)
    forgotten = psycopg2.connect(url)
    with forgotten, forgotten.cursor() as cursor:
        cursor.execute("DELETE FROM events WHERE id = 3")
        with pytest.raises(StoreTimeout):
            migrate(url, 20)
    forgotten.close()
    migrate(url, 20)
    rows(url, "DELETE FROM events WHERE id = 4")
    assert rows(url, NOTES) == [(4,)]
