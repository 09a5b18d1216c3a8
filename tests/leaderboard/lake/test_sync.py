"""A sync adds every settled event to the lake once, whatever happens meanwhile."""

import multiprocessing
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake import chunks, settle
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.sync import sync
from leaderboard.lake.table import LakeTable
from queries import EVENT_SCHEMA, PostgresEvents
from tests.conftest import conformance, load_events, rows
from tests.leaderboard.lake.conftest import (
    NOON,
    Stores,
    insert_events,
    insert_uncommitted,
    no_progress,
    sync_until_killed,
)

DAY = timedelta(days=1)
EVENTS = conformance("events")["events"]

# Polars does not survive a fork
processes = multiprocessing.get_context("spawn")


def test_lake_equals_the_database_after_a_sync(stores: Stores) -> None:
    load_events(stores.url, EVENTS)
    done = stores.sync()
    assert (done.events, done.rewritten_days, done.watermark) == (len(EVENTS), [], len(EVENTS))
    assert_frame_equal(stores.lake_events(), stores.database_events())
    assert stores.lake_events().columns == [*EVENT_SCHEMA, "payload"]


def test_empty_database_makes_an_empty_lake(stores: Stores) -> None:
    assert stores.sync().events == 0
    assert stores.lake_events().is_empty()
    assert stores.hybrid_events().is_empty()


def test_sync_adds_new_events_once(stores: Stores) -> None:
    insert_events(stores.url, NOON, NOON - 40 * DAY)
    assert stores.sync().events == 2
    assert stores.sync().events == 0
    # imported events may have any time
    insert_events(stores.url, NOON - 400 * DAY, NOON, NOON + 400 * DAY)
    assert stores.sync().events == 3
    assert_frame_equal(stores.lake_events(), stores.database_events())
    assert stores.lake_events().height == 5


def test_window_of_the_lake_includes_both_bounds(stores: Stores) -> None:
    microsecond = timedelta(microseconds=1)
    insert_events(stores.url, NOON - microsecond, NOON, NOON + DAY, NOON + DAY + microsecond)
    stores.sync()
    assert stores.lake_events(NOON, NOON + DAY)["id"].to_list() == [2, 3]
    assert stores.lake_events(NOON + DAY, NOON).is_empty()


def test_many_events_are_added_in_steps(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 50)
    load_events(stores.url, EVENTS)
    reported: list[tuple[str, int, int]] = []
    sync(stores.postgres, stores.lake, lambda *progress: reported.append(progress))
    assert len(reported) > 20
    assert reported == sorted(reported)
    assert {total for _, _, total in reported} == {len(EVENTS)}
    assert stores.snapshot().version > 20
    # one for each month
    assert stores.snapshot().files.height == 2
    assert_frame_equal(stores.lake_events(), stores.database_events())


def test_uncommitted_event_is_added_by_a_later_sync(
    stores: Stores, writer: psycopg2.extensions.cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_events(stores.url, NOON)
    stores.sync()
    late = insert_uncommitted(writer)
    insert_events(stores.url, NOON)
    monkeypatch.setattr(settle, "MAX_SETTLE_SECONDS", 0.2)
    with pytest.raises(LakeError, match="has been open"):
        stores.sync()
    assert stores.lake_events()["id"].to_list() == [1]
    assert stores.hybrid_events()["id"].to_list() == [1, late + 1]
    writer.connection.commit()
    stores.sync()
    assert stores.lake_events()["id"].to_list() == [1, late, late + 1]


def test_sync_waits_for_an_open_transaction(stores: Stores, writer: psycopg2.extensions.cursor) -> None:
    insert_events(stores.url, NOON)
    insert_uncommitted(writer)
    ending = threading.Timer(0.3, writer.connection.commit)
    ending.start()
    assert stores.sync().events == 2
    ending.join()


def test_as_of_lies_between_start_and_end_of_the_sync(stores: Stores) -> None:
    before = datetime.now(UTC)
    insert_events(stores.url, NOON)
    done = stores.sync()
    assert before < done.as_of < datetime.now(UTC)
    # stored as microseconds since 1970
    assert stores.snapshot().as_of == done.as_of


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 1, 3], ids="killed once {} files were written".format)
def test_killed_sync_leaves_the_lake_unchanged(stores: Stores, limit: int) -> None:
    insert_events(stores.url, NOON)
    stores.sync()
    before = stores.lake_events()
    insert_events(stores.url, *(NOON + days * DAY for days in range(1, 200, 31)))
    child = processes.Process(target=sync_until_killed, args=(stores.url, stores.lake, limit))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert_frame_equal(stores.lake_events(), before)
    assert stores.hybrid_events().height == 8
    assert stores.sync().events == 7
    assert_frame_equal(stores.lake_events(), stores.database_events())
    # a vacuum deletes the files that it left
    assert LakeTable(stores.lake).vacuum(0) == limit
    assert stores.lake_events().height == 8


@pytest.mark.slow
def test_concurrent_syncs_add_each_event_once(stores: Stores) -> None:
    load_events(stores.url, EVENTS[:1000])
    barrier = threading.Barrier(4)

    def sync_together(_: int) -> int:
        with closing(PostgresEvents(stores.url)) as postgres:
            barrier.wait(60)
            try:
                return sync(postgres, stores.lake, no_progress).events
            except LakeConflict:
                return 0

    with ThreadPoolExecutor(4) as threads:
        added = list(threads.map(sync_together, range(4)))
    assert sum(added) == 1000
    assert_frame_equal(stores.lake_events(), stores.database_events())


def test_sequence_with_cached_ids_is_refused(stores: Stores) -> None:
    rows(stores.url, "ALTER SEQUENCE events_id_seq CACHE 10")
    with pytest.raises(LakeError, match="CACHE 1"):
        stores.sync()
