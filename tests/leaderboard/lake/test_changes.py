"""Events that somebody changes or deletes in the database, and lakes of other databases."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake import chunks
from leaderboard.lake.errors import LakeError
from leaderboard.lake.sync import Rewrite, SyncOptions, sync
from queries import hash64
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import clone, conformance, drop, load_events, rows
from tests.leaderboard.lake.conftest import NOON, Stores, insert_events
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
EVENTS = conformance("events")["events"]


@pytest.fixture
def synced(stores: Stores) -> Stores:
    insert_events(stores.url, NOON - 2 * DAY, NOON - DAY, NOON)
    stores.sync()
    assert stores.success_rates() == [1, 1, 1]
    return stores


def wait_until_counted(stores: Stores) -> None:
    """Waits until the database tells of a change."""
    synced_changes = stores.snapshot().changes
    eventually(lambda: hash64(stores.postgres.state().changes) != synced_changes)


@pytest.mark.parametrize(
    ("statement", "rates", "days"),
    [
        ("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 2", [1, 0.5, 1], 1),
        ("DELETE FROM events WHERE id = 2", [1, 1], 1),
        ("DELETE FROM events WHERE id = 3", [1, 1], 1),
        ("DELETE FROM events", [], 3),
        ("UPDATE events SET event_time = event_time + interval '1 day' WHERE id = 1", [1, 1, 1], 2),
        ("UPDATE events SET region_id = 2", [1, 1, 1], 3),
        ("TRUNCATE events", [], 3),
        ("TRUNCATE events RESTART IDENTITY", [], 3),
    ],
)
def test_change_is_read_immediately_and_in_the_lake_after_a_sync(
    synced: Stores, statement: str, rates: list[float], days: int
) -> None:
    rows(synced.url, statement)
    wait_until_counted(synced)
    assert synced.success_rates() == rates
    assert len(synced.sync().rewritten_days) == days
    assert_frame_equal(synced.lake_events(), synced.database_events())
    assert synced.success_rates() == rates


def test_change_that_the_database_does_not_note_needs_a_rebuild(
    synced: Stores, writer: psycopg2.extensions.cursor
) -> None:
    writer.execute("SET track_counts = off")
    writer.execute("ALTER TABLE events DISABLE TRIGGER note_event_change")
    writer.execute("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 2")
    writer.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER note_event_change")
    writer.connection.commit()
    assert synced.sync().rewritten_days == []
    assert synced.lake_events()["success_rate"].to_list() == [1, 1, 1]
    assert len(synced.sync(Rewrite.ALL).rewritten_days) == 3
    assert synced.lake_events()["success_rate"].to_list() == [1, 0.5, 1]


def test_reused_ids_are_new_events(synced: Stores) -> None:
    rows(synced.url, "TRUNCATE events RESTART IDENTITY")
    insert_events(synced.url, NOON, NOON + DAY, rate=0.5)
    wait_until_counted(synced)
    assert synced.success_rates() == [0.5, 0.5]
    synced.sync()
    assert_frame_equal(synced.lake_events(), synced.database_events())


def test_rebuild_rewrites_all_days_without_disturbing_readers(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 200)
    load_events(stores.url, EVENTS)
    stores.sync()
    expected, old = stores.database_events(), stores.snapshot()
    unchanged: list[bool] = []
    sync(
        stores.postgres,
        stores.lake,
        lambda *_: unchanged.append(stores.hybrid_events().equals(expected)),
        SyncOptions(Rewrite.ALL),
    )
    assert len(unchanged) > 10
    assert all(unchanged)
    assert_frame_equal(stores.lake_events(), expected)
    assert not set(stores.snapshot().files["uri"]) & set(old.files["uri"])
    # a reader of the old snapshot can finish
    assert old.window(MIN_TIME, MAX_TIME).collect().height == len(EVENTS)


def test_lake_of_another_database_is_refused_and_not_read(
    stores: Stores, open_stores: Callable[..., Stores], events_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    insert_events(stores.url, NOON)
    stores.sync()
    other = open_stores(events_database, Path(stores.lake))
    for _ in range(3):
        assert other.hybrid_events().height == len(EVENTS)
    assert caplog.text.count("belongs to another database") == 1
    with pytest.raises(LakeError, match="another database"):
        other.sync()


def test_restored_database_adopts_the_lake(stores: Stores, open_stores: Callable[..., Stores], server: str) -> None:
    insert_events(stores.url, NOON - DAY, NOON)
    stores.sync()
    stores.close()
    restored = clone(server, stores.url.split("?")[0].rpartition("/")[2], "restored")
    try:
        insert_events(restored, NOON + DAY)
        rows(restored, "UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id = 1")
        other = open_stores(restored, Path(stores.lake))
        done = other.sync(adopt=True)
        assert (done.events, len(done.rewritten_days)) == (2, 1)
        assert_frame_equal(other.lake_events(), other.database_events())
        assert other.success_rates() == [0.5, 1, 1]
        other.close()
    finally:
        drop(server, "restored")
