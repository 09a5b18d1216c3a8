"""Several machines keep a lake of one database: each its own, or one that they share."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.background import BackgroundSync
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.lock import exclusive_lock
from leaderboard.lake.prune import Pruning
from leaderboard.lake.registry import record_lake
from queries import LakeEvents, StoreUnavailable, hash64
from queries.sources.lake_dataset import lake_datasets
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import rows
from tests.leaderboard.lake.conftest import NOON, Stores, insert_events, no_progress
from tests.support.waiting import eventually

DAY = timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)


@pytest.fixture
def other(stores: Stores, open_stores: Callable[..., Stores], tmp_path: Path) -> Stores:
    """The lake of another machine, of the same database with events of four days."""
    insert_events(stores.url, *(NOON + days * DAY for days in (-2, -1, 0, 1)))
    return open_stores(stores.url, tmp_path / "other")


def prune(stores: Stores) -> int:
    """Prunes the two days before MIDNIGHT."""
    pruning = Pruning(stores.url, stores.postgres, stores.snapshot(), MIDNIGHT, 20)
    pruning.prepare(no_progress)
    return sum(pruning.delete_batches())


def record(stores: Stores) -> None:
    record_lake(stores.url, stores.lake, 20, hash64(stores.postgres.state().database))


def test_each_folder_has_a_lock_of_its_own(stores: Stores, other: Stores, tmp_path: Path) -> None:
    with exclusive_lock(stores.url, stores.lake, 20), exclusive_lock(other.url, other.lake, 20):
        pass
    # another name of the same folder
    (tmp_path / "link").symlink_to(stores.lake)
    with (
        exclusive_lock(stores.url, stores.lake, 20),
        pytest.raises(LakeConflict),
        exclusive_lock(stores.url, str(tmp_path / "link"), 20),
    ):
        pass


def test_only_one_process_at_a_time_prunes_a_database(stores: Stores, other: Stores) -> None:
    with (
        exclusive_lock(stores.url, stores.lake, 20, for_prune=True),
        pytest.raises(LakeConflict),
        exclusive_lock(other.url, other.lake, 20, for_prune=True),
    ):
        pass


def test_services_keep_a_lake_in_each_folder(stores: Stores, other: Stores) -> None:
    with (
        closing(BackgroundSync(stores.url, stores.lake, 0.05, 20)) as first,
        closing(BackgroundSync(other.url, other.lake, 0.05, 20)) as second,
    ):
        first.start()
        second.start()
        for lake in (stores.lake, other.lake):
            eventually(lambda lake=lake: (found := LakeEvents(lake).snapshot()) and found.watermark == 4)
    assert_frame_equal(stores.lake_events(), other.lake_events())


def test_nothing_is_pruned_that_another_lake_lacks(stores: Stores, other: Stores) -> None:
    stores.sync()
    record(other)
    with pytest.raises(LakeError, match=r"other lakes of this database lack some .*/other on .* \(synced 0:00:0"):
        prune(stores)
    other.sync()
    record(other)
    assert prune(stores) == 2
    for lake in (stores, other):
        assert lake.hybrid_events()["id"].to_list() == [1, 2, 3, 4]
        lake.sync()
        assert lake.hybrid_events()["id"].to_list() == [1, 2, 3, 4]


def test_lake_of_a_machine_that_is_gone_does_not_hold_up_pruning(stores: Stores, other: Stores) -> None:
    stores.sync()
    record(other)
    rows(stores.url, "UPDATE lakes SET synced_at = now() - interval '8 days'")
    assert prune(stores) == 2


@pytest.mark.parametrize("synced", [0, 1], ids=["new lake", "lake that was behind"])
def test_lake_that_lacks_what_was_pruned_is_never_taken_as_complete(
    stores: Stores, open_stores: Callable[..., Stores], tmp_path: Path, synced: int
) -> None:
    other = open_stores(stores.url, tmp_path / "other")
    insert_events(stores.url, NOON - 2 * DAY)
    if synced:
        other.sync()
    insert_events(stores.url, NOON - DAY, NOON, NOON + DAY)
    stores.sync()
    assert prune(stores) == 2
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="lake"):
            other.hybrid_events()
        assert other.hybrid_events(MIDNIGHT)["id"].to_list() == [3, 4]
        other.sync()
    lake = LakeEvents(other.lake)
    for read in (
        lambda: lake.window(MIN_TIME, MAX_TIME),
        lambda: lake.results("0x", MIN_TIME, MAX_TIME, "transcoding"),
        lambda: lake_datasets(lake.require_snapshot(), MIN_TIME, MAX_TIME),
    ):
        with pytest.raises(StoreUnavailable, match="were pruned before it had them"):
            read()
    assert lake.window(MIDNIGHT, MAX_TIME).select(pl.len()).collect().item() == 2
    assert stores.hybrid_events()["id"].to_list() == [1, 2, 3, 4]
