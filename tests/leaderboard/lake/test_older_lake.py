"""A lake of an older release is read as it is, and upgraded by the next sync."""

import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from leaderboard.lake import data_files
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.prune import Pruning
from leaderboard.lake.sync import Rewrite, sync
from leaderboard.lake.table import LakeTable
from leaderboard.lake.upgrade import upgrade
from leaderboard.lake.verify import compare_days
from queries import PostgresEvents, StoreUnavailable, collect
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import conformance, load_events
from tests.leaderboard.lake.conftest import NOON, Stores, insert_events, no_progress, sync_until_killed
from tests.support.disks import fill, small_disk
from tests.support.older_lake import add_older_file, make_older

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
RESULTS = conformance("events")["events"]
ODD = {
    "pipeline": "Text to image",
    "model": "m",
    "model_is_warm": True,
    "test_outcome": "unscored_busy",
    "errors": [{"error_code": "OrchestratorBusy"}],
    "input_parameters": '{"orchestrator": "https://o.example:8935"}',
}

# Polars does not survive a fork
processes = multiprocessing.get_context("spawn")


def insert_new_kinds(url: str, *days: int) -> None:
    load_events(url, [[(NOON + day * DAY).timestamp(), "0x" + "cd" * 20, "FRA", "ai", ODD] for day in days])


@pytest.fixture
def older(stores: Stores) -> Stores:
    """A database and its lake of an older release, with several files of each month."""
    for first in range(0, len(RESULTS), 600):
        load_events(stores.url, RESULTS[first : first + 600])
        stores.sync()
    insert_new_kinds(stores.url, 0, 40)
    stores.sync()
    make_older(stores.lake)
    assert stores.snapshot().older_files == stores.snapshot().files.height > 5
    return stores


def merge_as_older_release(stores: Stores) -> None:
    """Merges files of a month as older releases did."""
    assert DeltaTable(stores.lake).optimize.compact()["numFilesRemoved"] > 0


def assert_upgraded(stores: Stores) -> None:
    """The lake is complete, holds what the database has, and needs no second upgrade."""
    snapshot = stores.snapshot()
    assert snapshot.older_files == 0
    for uri in snapshot.files["uri"]:
        assert pl.read_parquet(uri, hive_partitioning=False)["error_kind"].null_count() == 0
    assert_frame_equal(stores.lake_events(), stores.database_events())
    assert_frame_equal(stores.hybrid_events(), stores.database_events())
    assert stores.sync().upgraded_files == 0


def test_older_lake_has_the_same_events(older: Stores) -> None:
    assert_frame_equal(older.lake_events(), older.database_events())
    assert (older.lake_events()["outcome"] == "unscored_busy").sum() == 2
    snapshot = older.snapshot()
    assert compare_days(older.postgres, snapshot, MIN_TIME, snapshot.watermark, no_progress)["same"].all()


def test_missing_older_file_raises_when_it_is_read(older: Stores) -> None:
    events = older.snapshot().window(MIN_TIME, MAX_TIME)
    Path(older.snapshot().files["uri"][0]).unlink()
    with pytest.raises(StoreUnavailable, match="file of the lake"):
        collect(events)
    with pytest.raises(LakeError, match=r"the lake in .* cannot be written to: No such file"):
        older.sync()


def test_sync_upgrades_once_and_keeps_the_position(older: Stores) -> None:
    before = older.snapshot()
    done = older.sync()
    assert (done.events, done.upgraded_files) == (0, before.files.height)
    after = older.snapshot()
    assert (after.watermark, after.as_of, after.database, after.changes) == (
        *(before.watermark, before.as_of),
        *(before.database, before.changes),
    )
    assert after.files.select("events", "since", "until").equals(before.files.select("events", "since", "until"))
    assert_upgraded(older)


def test_sync_upgrades_and_adds_new_events(older: Stores) -> None:
    insert_new_kinds(older.url, -1, 1)
    done = older.sync()
    assert done.events == 2
    assert done.upgraded_files > 0
    assert_upgraded(older)


def test_sync_upgrades_and_rewrites_changed_days(older: Stores) -> None:
    assert older.sync(Rewrite.ALL).upgraded_files > 0
    assert_upgraded(older)


def test_upgrade_needs_no_event_of_the_database(older: Stores) -> None:
    before = older.database_events()
    pruning = Pruning(older.url, older.postgres, older.snapshot(), NOON.replace(hour=0) + 50 * DAY, 20)
    assert pruning.prepare(no_progress) == before.height
    assert sum(pruning.delete_batches()) == before.height
    assert older.sync().upgraded_files > 0
    assert older.snapshot().older_files == 0
    assert_frame_equal(older.lake_events(), before)


def test_large_file_is_upgraded_in_parts(older: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    merge_as_older_release(older)
    months = older.snapshot().files.height
    monkeypatch.setattr(data_files, "BATCH_ROWS", 50)
    monkeypatch.setattr(data_files, "MAX_FILE_ROWS", 100)
    heights = []
    sync(older.postgres, older.lake, lambda activity, done, total: heights.append((activity, done, total)))
    assert heights[1] == ("upgrading", 100, len(RESULTS) + 2)
    assert older.snapshot().files.height > months * 3
    assert_upgraded(older)


def test_files_of_an_older_release_that_still_runs_are_upgraded_next(older: Stores) -> None:
    older.sync()
    insert_new_kinds(older.url, -30, 2)
    add_older_file(older.lake, older.database_events().tail(2))
    assert older.snapshot().older_files == 2
    assert_frame_equal(older.hybrid_events(), older.database_events())
    assert older.sync().upgraded_files == 2
    assert_upgraded(older)


def test_files_that_an_older_release_merges_are_upgraded_next(older: Stores) -> None:
    LakeTable(older.lake).add_columns()
    # deltalake fills columns that the files lack with nulls
    merge_as_older_release(older)
    assert set(older.snapshot().files["complete"]) == {False}
    assert_frame_equal(older.lake_events(), older.database_events())
    older.sync()
    assert_upgraded(older)


def test_compaction_keeps_an_upgraded_lake_complete(older: Stores) -> None:
    older.sync()
    assert LakeTable(older.lake).compact() > 0
    assert_upgraded(older)


def test_table_that_an_older_release_created_gets_the_columns(stores: Stores) -> None:
    stores.sync()
    make_older(stores.lake)
    insert_new_kinds(stores.url, 0)
    stores.sync()
    # the files are complete, and the table does not know it
    assert stores.sync().upgraded_files == 0
    assert_upgraded(stores)
    assert "error_kind" in {field.name for field in DeltaTable(stores.lake).schema().fields}


def test_upgrade_keeps_what_another_writer_added_meanwhile(older: Stores) -> None:
    lake = LakeTable(older.lake)
    insert_new_kinds(older.url, 2)
    add_older_file(older.lake, older.database_events().tail(1))
    assert upgrade(lake, no_progress, lambda: None) == older.snapshot().files.height
    assert older.snapshot().watermark == len(RESULTS) + 3
    assert_upgraded(older)


def test_upgrade_gives_way_to_a_writer_that_commits_first(older: Stores) -> None:
    insert_new_kinds(older.url, 2)
    for write in (
        lambda: add_older_file(older.lake, older.database_events().tail(1)),
        lambda: merge_as_older_release(older),
    ):
        with pytest.raises(LakeConflict, match="committed first"):
            upgrade(LakeTable(older.lake), no_progress, write)
        assert_frame_equal(older.hybrid_events(), older.database_events())
    older.sync()
    assert_upgraded(older)


def test_concurrent_upgrades_change_the_lake_once(older: Stores) -> None:
    barrier = threading.Barrier(3)

    def sync_together(_: int) -> int:
        with closing(PostgresEvents(older.url)) as postgres:
            barrier.wait(60)
            try:
                return sync(postgres, older.lake, no_progress).upgraded_files
            except LakeConflict:
                return 0

    files = older.snapshot().files.height
    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(sync_together, range(3))) == [0, 0, files]
    assert_upgraded(older)


@pytest.mark.parametrize("limit", [0, 3])
def test_killed_upgrade_leaves_the_lake_readable(older: Stores, limit: int) -> None:
    child = processes.Process(target=sync_until_killed, args=(older.url, older.lake, limit))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert older.snapshot().older_files == older.snapshot().files.height
    assert_frame_equal(older.lake_events(), older.database_events())
    older.sync()
    assert_upgraded(older)


def test_upgrade_on_a_full_disk_leaves_the_lake_readable(
    database: str, open_stores: Callable[..., Stores], monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(4 << 20) as disk:
        stores = open_stores(database, disk / "lake")
        insert_events(stores.url, *(NOON + number * DAY for number in range(300)))
        stores.sync()
        make_older(stores.lake)
        filler = fill(disk)
        with pytest.raises(LakeError, match="cannot be"):
            stores.sync()
        assert_frame_equal(stores.lake_events(), stores.database_events())
        filler.unlink()
        stores.sync()
        assert_upgraded(stores)
        stores.close()
