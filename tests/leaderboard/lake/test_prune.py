"""Pruning deletes events that the lake has complete, and queries still read them."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg2
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake import prune
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.prune import Pruning
from leaderboard.lake.sync import Rewrite, SyncOptions, sync
from leaderboard.lake.verify import compare_days
from queries import PostgresEvents, StoreUnavailable
from queries.times import MIN_TIME
from tests.conftest import rows
from tests.leaderboard.lake.conftest import ADDRESS, NOON, Stores, insert_events, insert_uncommitted, no_progress

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)


@pytest.fixture
def synced(stores: Stores) -> Stores:
    insert_events(stores.url, *(NOON + days * DAY for days in (-3, -2, -1, -1, 0, 1)))
    stores.sync()
    return stores


def prepare(stores: Stores, before: datetime = MIDNIGHT) -> Pruning:
    pruning = Pruning(stores.url, stores.postgres, stores.snapshot(), before, 20)
    pruning.prepare(no_progress)
    return pruning


def prune_before(stores: Stores, before: datetime = MIDNIGHT) -> int:
    """Prunes, and returns the number of deleted events."""
    while True:
        preparation = prepare(stores, before)
        try:
            return sum(preparation.delete_batches())
        except LakeError as error:
            # the database counts an earlier change only after a moment
            if "changed meanwhile" not in str(error):
                raise


def rewrite(url: str) -> None:
    """Makes the database report a change."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("VACUUM FULL events")


def differing(stores: Stores) -> list[str]:
    lake = stores.snapshot()
    days = compare_days(stores.postgres, lake, MIN_TIME, lake.watermark, no_progress)
    return [str(day) for day in days.filter(~pl.col("same"))["day"]]


def test_synced_lake_equals_the_database_on_every_day(synced: Stores) -> None:
    assert differing(synced) == []
    days = compare_days(synced.postgres, synced.snapshot(), MIN_TIME, 6, no_progress)
    assert days["database"].to_list() == days["lake"].to_list() == [1, 1, 2, 1, 1]


@pytest.mark.parametrize(
    ("statement", "days"),
    [
        ("DELETE FROM events WHERE id = 3", ["2026-08-31"]),
        ("UPDATE events SET payload = '{\"success_rate\": 0.5}' WHERE id IN (1, 3)", ["2026-08-29", "2026-08-31"]),
        ("UPDATE events SET payload = payload || '{\"x\": 1}' WHERE id = 5", ["2026-09-01"]),
        ("UPDATE events SET region_id = 2 WHERE id = 5", ["2026-09-01"]),
        ("UPDATE events SET event_time = event_time + interval '1 us' WHERE id = 5", ["2026-09-01"]),
        ("UPDATE events SET event_time = event_time - interval '1 year' WHERE id = 5", ["2025-09-01", "2026-09-01"]),
    ],
)
def test_verification_names_the_days_that_differ(synced: Stores, statement: str, days: list[str]) -> None:
    rows(synced.url, statement)
    assert differing(synced) == days


def test_pruned_events_are_read_from_the_lake(synced: Stores) -> None:
    before = synced.hybrid_events()
    assert prune_before(synced) == 4
    assert synced.database_events()["id"].to_list() == [5, 6]
    assert_frame_equal(synced.hybrid_events(), before)
    results = synced.events.results(ADDRESS, MIN_TIME, NOON + 2 * DAY, "transcoding")
    assert results.collect()["id"].sort().to_list() == [1, 2, 3, 4, 5, 6]
    synced.sync()
    assert_frame_equal(synced.hybrid_events(), before)
    assert_frame_equal(synced.lake_events(), before)


def test_pruned_days_without_the_lake_raise_instead_of_leaving_events_out(synced: Stores) -> None:
    assert prune_before(synced) == 4
    Path(synced.lake).rename(f"{synced.lake}.moved")
    with pytest.raises(StoreUnavailable, match="only the lake has events before"):
        synced.hybrid_events()
    assert synced.hybrid_events(MIDNIGHT)["id"].to_list() == [5, 6]


def test_nothing_is_pruned_if_a_day_differs(synced: Stores) -> None:
    rows(synced.url, "UPDATE events SET payload = '{}' WHERE id = 2")
    with pytest.raises(LakeError, match="differs on 2026-08-30;"):
        prepare(synced)
    assert synced.database_events().height == 6
    assert synced.postgres.state().pruned is None


def test_days_after_the_pruned_ones_may_differ(synced: Stores) -> None:
    rows(synced.url, "UPDATE events SET payload = '{}' WHERE id = 6")
    assert prune_before(synced) == 4


def test_nothing_is_pruned_if_events_change_after_the_check(synced: Stores) -> None:
    pruning = prepare(synced)
    rewrite(synced.url)
    with pytest.raises(LakeError, match="changed meanwhile"):
        next(pruning.delete_batches())
    assert synced.database_events().height == 6
    assert synced.postgres.state().pruned is None


def test_late_event_of_a_pruned_day_is_read_before_and_after_its_sync(synced: Stores) -> None:
    prune_before(synced)
    insert_events(synced.url, NOON - 2 * DAY, rate=0.5)
    assert synced.success_rates() == [1, 1, 1, 1, 1, 1, 0.5]
    synced.sync()
    assert synced.success_rates() == [1, 1, 1, 1, 1, 1, 0.5]
    # the next pruning deletes it
    assert prune_before(synced) == 1
    assert synced.success_rates() == [1, 1, 1, 1, 1, 1, 0.5]
    assert synced.database_events()["id"].to_list() == [5, 6]


def test_late_event_that_the_lake_has_differently_is_not_prune_before(synced: Stores) -> None:
    prune_before(synced)
    insert_events(synced.url, NOON - 2 * DAY)
    synced.sync()
    rows(synced.url, "UPDATE events SET payload = '{}' WHERE id = 7")
    with pytest.raises(LakeError, match="differs on 2026-08-30"):
        prepare(synced)
    assert synced.database_events()["id"].to_list() == [5, 6, 7]


def test_interrupted_pruning_loses_nothing_and_continues(synced: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    before = synced.hybrid_events()
    monkeypatch.setattr(prune, "DELETE_BATCH_ROWS", 1)
    batches = prepare(synced).delete_batches()
    assert next(batches) == 1
    batches.close()
    assert synced.database_events().height == 5
    assert_frame_equal(synced.hybrid_events(), before)
    # a sync does not mistake the remaining events for all events of their day
    synced.sync()
    synced.sync(Rewrite.ALL)
    assert_frame_equal(synced.lake_events(), before)
    assert prune_before(synced) == 3
    assert_frame_equal(synced.hybrid_events(), before)


def test_lost_connection_during_a_pruning_is_store_unavailable(synced: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "DELETE_BATCH_ROWS", 1)
    batches = prepare(synced).delete_batches()
    assert next(batches) == 1
    rows(
        synced.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query = 'COMMIT'",
    )
    with pytest.raises(StoreUnavailable, match="is not available"):
        next(batches)
    assert prune_before(synced) == 3


def test_sync_writes_nothing_if_events_are_pruned_meanwhile(synced: Stores) -> None:
    before = synced.lake_events()
    insert_events(synced.url, NOON)
    deleted: list[int] = []

    def prune_once(*_: object) -> None:
        if not deleted:
            deleted.append(prune_before(synced))

    with pytest.raises(LakeConflict, match="pruned meanwhile"):
        sync(synced.postgres, synced.lake, prune_once, SyncOptions(Rewrite.ALL))
    assert deleted == [4]
    assert_frame_equal(synced.lake_events(), before)
    assert synced.hybrid_events().height == 7


def test_pruning_fewer_days_keeps_the_later_limit(synced: Stores) -> None:
    assert prune_before(synced) == 4
    assert prune_before(synced, MIDNIGHT - DAY) == 0
    assert synced.postgres.state().pruned == MIDNIGHT


def test_unsynced_events_are_not_prune_before(synced: Stores, writer: psycopg2.extensions.cursor) -> None:
    insert_uncommitted(writer, NOON - 3 * DAY)
    writer.connection.commit()
    assert prune_before(synced) == 4
    assert synced.database_events()["id"].to_list() == [5, 6, 7]
    assert synced.hybrid_events()["id"].to_list() == [1, 2, 3, 4, 5, 6, 7]


def test_events_that_no_source_returns_are_not_prune_before(synced: Stores) -> None:
    rows(
        synced.url,
        "INSERT INTO events (event_time, orchestrator, region_id, payload) "
        f"VALUES ('{NOON - 3 * DAY}', 'broadcaster', 1, '{{}}'), ('{NOON - 3 * DAY}', '{ADDRESS}', NULL, '{{}}'), "
        f"('-infinity', '{ADDRESS}', 1, '{{}}')",
    )
    synced.sync()
    assert prune_before(synced) == 4
    assert rows(synced.url, "SELECT id FROM events ORDER BY id") == [(5,), (6,), (7,), (8,), (9,)]


def test_lake_of_another_database_is_refused(synced: Stores, events_database: str) -> None:
    with closing(PostgresEvents(events_database)) as postgres:
        pruning = Pruning(events_database, postgres, synced.snapshot(), datetime.now(UTC), 20)
        with pytest.raises(LakeError, match="another database"):
            pruning.prepare(no_progress)
