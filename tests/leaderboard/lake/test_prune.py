"""The database may drop what its lake is found to have whole, and answers go on having it."""

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
from leaderboard.lake.sync import Rewrite, sync
from leaderboard.lake.verify import compare_days
from queries import PostgresEvents, StoreUnavailable
from queries.times import MIN_TIME
from tests.conftest import rows
from tests.leaderboard.lake.conftest import ADDRESS, NOON, Stores, insert, no_progress, put

DAY = timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)


@pytest.fixture
def synced(stores: Stores) -> Stores:
    put(stores.url, *(NOON + days * DAY for days in (-3, -2, -1, -1, 0, 1)))
    stores.sync()
    return stores


def pruning(stores: Stores, before: datetime = MIDNIGHT) -> Pruning:
    return Pruning(stores.url, stores.postgres, stores.snapshot(), before, 20)


def pruned(stores: Stores, before: datetime = MIDNIGHT) -> int:
    """How many events were deleted."""
    while True:
        found = pruning(stores, before)
        found.prepare(no_progress)
        try:
            return sum(found.delete_batches())
        except LakeError as error:
            # of what was changed before, the database tells a little later
            if "changed meanwhile" not in str(error):
                raise


def rewrite(url: str) -> None:
    """Has the database tell of a change."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("VACUUM FULL events")


def differing(stores: Stores) -> list[str]:
    lake = stores.snapshot()
    days = compare_days(stores.postgres, lake, MIN_TIME, lake.watermark, no_progress)
    return [str(day) for day in days.filter(~pl.col("same"))["day"]]


def test_a_lake_that_was_brought_up_to_date_has_every_day_whole(synced: Stores) -> None:
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
def test_a_day_that_differs_is_named(synced: Stores, statement: str, days: list[str]) -> None:
    rows(synced.url, statement)
    assert differing(synced) == days


def test_what_was_pruned_is_answered_from_the_lake(synced: Stores) -> None:
    before = synced.of_both()
    assert pruned(synced) == 4
    assert synced.of_database()["id"].to_list() == [5, 6]
    assert_frame_equal(synced.of_both(), before)
    asked = ADDRESS, MIN_TIME, NOON + 2 * DAY, "transcoding"
    assert synced.events.results(*asked).collect()["id"].sort().to_list() == [1, 2, 3, 4, 5, 6]
    synced.sync()
    assert_frame_equal(synced.of_both(), before)
    assert_frame_equal(synced.of_lake(), before)


def test_without_the_lake_what_was_pruned_is_no_answer_and_not_part_of_one(synced: Stores) -> None:
    assert pruned(synced) == 4
    Path(synced.lake).rename(f"{synced.lake}.away")
    with pytest.raises(StoreUnavailable, match="only the lake has events before"):
        synced.of_both()
    assert synced.of_both(MIDNIGHT)["id"].to_list() == [5, 6]


def test_a_day_that_differs_is_not_pruned_and_nothing_is(synced: Stores) -> None:
    rows(synced.url, "UPDATE events SET payload = '{}' WHERE id = 2")
    with pytest.raises(LakeError, match="differs on 2026-08-30;"):
        pruning(synced).prepare(no_progress)
    assert synced.of_database().height == 6
    assert synced.postgres.state().pruned is None


def test_a_day_that_is_not_asked_for_may_differ(synced: Stores) -> None:
    rows(synced.url, "UPDATE events SET payload = '{}' WHERE id = 6")
    assert pruned(synced) == 4


def test_what_is_changed_once_it_was_compared_is_not_pruned(synced: Stores) -> None:
    found = pruning(synced)
    assert found.prepare(no_progress) == 4
    rewrite(synced.url)
    with pytest.raises(LakeError, match="changed meanwhile"):
        next(found.delete_batches())
    assert synced.of_database().height == 6
    assert synced.postgres.state().pruned is None


def test_what_comes_late_of_a_pruned_day_is_answered_before_and_after_it_is_in_the_lake(synced: Stores) -> None:
    pruned(synced)
    put(synced.url, NOON - 2 * DAY, rate=0.5)
    assert synced.rates() == [1, 1, 1, 1, 1, 1, 0.5]
    synced.sync()
    assert synced.rates() == [1, 1, 1, 1, 1, 1, 0.5]
    # and is pruned the next time
    assert pruned(synced) == 1
    assert synced.rates() == [1, 1, 1, 1, 1, 1, 0.5]
    assert synced.of_database()["id"].to_list() == [5, 6]


def test_what_came_late_and_the_lake_has_otherwise_is_not_pruned(synced: Stores) -> None:
    pruned(synced)
    put(synced.url, NOON - 2 * DAY)
    synced.sync()
    rows(synced.url, "UPDATE events SET payload = '{}' WHERE id = 7")
    with pytest.raises(LakeError, match="differs on 2026-08-30"):
        pruning(synced).prepare(no_progress)
    assert synced.of_database()["id"].to_list() == [5, 6, 7]


def test_a_pruning_that_was_broken_off_loses_nothing_and_goes_on(
    synced: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = synced.of_both()
    monkeypatch.setattr(prune, "DELETE_BATCH_ROWS", 1)
    found = pruning(synced)
    found.prepare(no_progress)
    deleting = found.delete_batches()
    assert next(deleting) == 1
    deleting.close()
    assert synced.of_database().height == 5
    assert_frame_equal(synced.of_both(), before)
    # nor does a sync take the rest for all
    synced.sync()
    synced.sync(Rewrite.ALL)
    assert_frame_equal(synced.of_lake(), before)
    assert pruned(synced) == 3
    assert_frame_equal(synced.of_both(), before)


def test_a_sync_that_was_reading_while_events_were_pruned_writes_nothing(synced: Stores) -> None:
    before = synced.of_lake()
    put(synced.url, NOON)
    done: list[int] = []

    def meanwhile(*_: object) -> None:
        if not done:
            done.append(pruned(synced))

    with pytest.raises(LakeConflict, match="pruned meanwhile"):
        sync(synced.postgres, synced.lake, meanwhile, Rewrite.ALL)
    assert done == [4]
    assert_frame_equal(synced.of_lake(), before)
    assert synced.of_both().height == 7


def test_pruning_less_than_before_takes_nothing_back(synced: Stores) -> None:
    assert pruned(synced) == 4
    assert pruned(synced, MIDNIGHT - DAY) == 0
    assert synced.postgres.state().pruned == MIDNIGHT


def test_what_the_lake_does_not_have_yet_stays(synced: Stores, writer: psycopg2.extensions.cursor) -> None:
    insert(writer, NOON - 3 * DAY)
    writer.connection.commit()
    assert pruned(synced) == 4
    assert synced.of_database()["id"].to_list() == [5, 6, 7]
    assert synced.of_both()["id"].to_list() == [1, 2, 3, 4, 5, 6, 7]


def test_an_event_of_no_progress_is_not_in_the_lake_and_stays(synced: Stores) -> None:
    rows(
        synced.url,
        "INSERT INTO events (event_time, orchestrator, region_id, payload) "
        f"VALUES ('{NOON - 3 * DAY}', 'broadcaster', 1, '{{}}'), ('{NOON - 3 * DAY}', '{ADDRESS}', NULL, '{{}}'), "
        f"('-infinity', '{ADDRESS}', 1, '{{}}')",
    )
    synced.sync()
    assert pruned(synced) == 4
    assert rows(synced.url, "SELECT id FROM events ORDER BY id") == [(5,), (6,), (7,), (8,), (9,)]


def test_the_lake_of_another_database_is_no_reason_to_prune(synced: Stores, events_database: str) -> None:
    with closing(PostgresEvents(events_database)) as postgres:
        found = Pruning(events_database, postgres, synced.snapshot(), datetime.now(UTC), 20)
        with pytest.raises(LakeError, match="another database"):
            found.prepare(no_progress)
