"""The files of the lake, and the lock that guards them."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake import compaction, lock, table
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.lock import exclusive_lock
from leaderboard.lake.table import LakeTable
from queries import EVENT_SCHEMA, StoreUnavailable, collect, open_events
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import conformance, load_events
from tests.leaderboard.lake.conftest import NOON, Stores, insert_events

DAY = timedelta(days=1)
EVENTS = conformance("events")["events"]


def sync_in_parts(stores: Stores, end: int, size: int) -> None:
    """Stores events, and has a sync after each ``size`` of them until there are ``end`` or a few more."""
    for first in range(0, end, size):
        load_events(stores.url, EVENTS[first : first + size])
        stores.sync()


def test_compaction_keeps_the_events_in_one_file_per_month(stores: Stores) -> None:
    sync_in_parts(stores, len(EVENTS), 500)
    expected = stores.lake_events()
    assert stores.snapshot().files.height > 8
    months = LakeTable(stores.lake).compact()
    assert months == stores.snapshot().files.height == 2
    assert LakeTable(stores.lake).compact() == 0
    assert LakeTable(stores.lake).vacuum(0) > 8
    assert_frame_equal(stores.lake_events(), expected)
    assert_frame_equal(stores.hybrid_events(), stores.database_events())
    # compaction kept the watermark
    assert stores.sync().events == 0


def test_results_of_an_orchestrator_lie_together(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "ROW_GROUP_ROWS", 20)
    monkeypatch.setattr(compaction, "MAX_RANGE_ROWS", 300)
    sync_in_parts(stores, 1000, 250)
    LakeTable(stores.lake).compact()
    assert_frame_equal(stores.lake_events(), stores.database_events())
    for uri, since, until in stores.snapshot().files.select("uri", "since", "until").iter_rows():
        events = pl.read_parquet(uri, hive_partitioning=False)
        assert_frame_equal(events, events.sort("orchestrator", "event_time", "id"))
        assert since == events["event_time"].min()
        assert timedelta() <= until - events["event_time"].max() < timedelta(milliseconds=1)
        metadata, orchestrator = pq.read_metadata(uri), events["orchestrator"][0]
        column = metadata.schema.names.index("orchestrator")
        groups = [metadata.row_group(n).column(column).statistics for n in range(metadata.num_row_groups)]
        assert sum(group.min <= orchestrator <= group.max for group in groups) < len(groups) / 2


def test_month_of_many_results_is_merged_into_files_of_whole_days(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MERGED_FILE_ROWS", 300)
    monkeypatch.setattr(compaction, "SMALL_FILE_ROWS", 20)
    sync_in_parts(stores, 1000, 170)
    LakeTable(stores.lake).compact()
    files = stores.snapshot().files
    assert 4 <= files.height <= 6
    days = files.select(first=pl.col("since").dt.date(), last=pl.col("until").dt.date()).rows()
    assert all(last < first for (_, last), (first, _) in pairwise(days))
    assert_frame_equal(stores.lake_events(), stores.database_events())
    # a result that came late has the files of its day written again, and no others
    insert_events(stores.url, files["since"][1])
    stores.sync()
    monkeypatch.setattr(compaction, "SMALL_FILE_ROWS", 2)
    assert LakeTable(stores.lake).compact() == 1
    assert len(set(files["uri"]) - set(stores.snapshot().files["uri"])) == 1
    assert LakeTable(stores.lake).compact() == 0
    assert_frame_equal(stores.lake_events(), stores.database_events())


def test_month_is_merged_into_one_file_when_it_is_over(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in range(3):
        insert_events(stores.url, NOON + days * DAY, NOON - 40 * DAY)
        stores.sync()
    LakeTable(stores.lake).tidy()
    assert stores.snapshot().files.height == 6
    monkeypatch.setattr(table, "QUIET_TIME", -DAY)
    LakeTable(stores.lake).tidy()
    assert stores.snapshot().files.height == 2
    assert_frame_equal(stores.lake_events(), stores.database_events())


def test_large_files_of_a_busy_month_stay(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_SMALL_FILES_PER_MONTH", 4)
    monkeypatch.setattr(compaction, "SMALL_FILE_ROWS", 3)
    heights = []
    for _ in range(8):
        insert_events(stores.url, NOON)
        stores.sync()
        heights.append(sorted(stores.snapshot().files["events"]))
    # a file of four events is large; the small ones beside it are merged
    assert heights == [[1], [1, 1], [1, 1, 1], [4], [1, 4], [1, 1, 4], [1, 1, 1, 4], [4, 4]]


def test_unwritable_lake_raises_a_lake_error(stores: Stores, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    stores.lake = str(tmp_path / "file" / "lake")
    with pytest.raises(LakeError, match="cannot be"):
        stores.sync()


def test_lake_is_a_source_without_a_database(stores: Stores) -> None:
    insert_events(stores.url, NOON)
    with pytest.raises(StoreUnavailable, match="no lake"):
        open_events(stores.lake).window(NOON, NOON)
    stores.sync()
    events = open_events(stores.lake).window(NOON, NOON).collect()
    assert events.columns == list(EVENT_SCHEMA)
    assert events.height == 1


def test_missing_data_file_raises_instead_of_leaving_rows_out(stores: Stores) -> None:
    insert_events(stores.url, NOON - 40 * DAY, NOON)
    stores.sync()
    Path(stores.snapshot().files["uri"][0]).unlink()
    with pytest.raises(StoreUnavailable, match="file of the lake"):
        collect(stores.events.window(MIN_TIME, MAX_TIME))


def test_exclusive_lock_is_held_by_one_at_a_time(stores: Stores) -> None:
    with (
        exclusive_lock(stores.url, stores.lake, 20),
        pytest.raises(LakeConflict, match="another process"),
        exclusive_lock(stores.url, stores.lake, 20),
    ):
        pass
    with exclusive_lock(stores.url, stores.lake, 20):
        pass


def test_lock_of_a_process_that_stopped_working_is_no_reason_to_wait_for_ever(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "MAX_HOLD_TIME", timedelta())
    with (
        exclusive_lock(stores.url, stores.lake, 20),
        pytest.raises(StoreUnavailable, match=r"\(idle in transaction, for .* SELECT pg_terminate_backend"),
        exclusive_lock(stores.url, stores.lake, 20),
    ):
        pass


def test_exclusive_lock_needs_the_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable), exclusive_lock("postgresql://localhost:1/none", str(tmp_path / "lake"), 1):
        pass
