"""The results of one orchestrator, from the files of the lake in which they lie together."""

from datetime import timedelta
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from queries.sources.parquet_files import collect
from tests.conftest import load_events, rows
from tests.leaderboard.lake.conftest import NOON, Stores

ADDRESSES = [f"0x{number:040x}" for number in range(12)]
UNTIL = NOON + timedelta(days=20)
ERRORS = [{"error_code": "Timeout"}]


@pytest.fixture
def synced(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """A lake with small row groups, and a database with a newer result of each orchestrator."""
    monkeypatch.setattr("leaderboard.lake.data_files.ROW_GROUP_ROWS", 8)
    insert(stores, range(20))
    stores.sync()
    insert(stores, range(19, 20))
    return stores


def insert(stores: Stores, days: range) -> None:
    load_events(
        stores.url,
        [
            [
                (NOON + timedelta(days=day)).timestamp(),
                address,
                "FRA",
                job_type,
                {"errors": ERRORS[day % 2 :], "n": day},
            ]
            for day in days
            for address in ADDRESSES
            for job_type in ("transcoding", "ai")
        ],
    )


def assert_results_are_the_databases(stores: Stores) -> None:
    for job_type, with_errors in (("transcoding", False), ("ai", True), (None, True), (None, False)):
        for address in (ADDRESSES[0], ADDRESSES[7], "0x" + "f" * 40):
            query = address, NOON, UNTIL, job_type
            expected = stores.postgres.results(*query, with_errors=with_errors).sort("id").collect()
            found = collect(stores.events.results(*query, with_errors=with_errors)).sort("id")
            assert_frame_equal(found, expected)
            assert found.is_empty() == (address not in ADDRESSES)


def test_results_of_a_long_window_are_those_of_the_database(synced: Stores) -> None:
    assert synced.snapshot().skips_others(ADDRESSES[7], NOON, UNTIL)
    assert_results_are_the_databases(synced)
    # until the next sync, the lake differs from the database
    rows(synced.url, "UPDATE events SET payload = payload || '{\"errors\": []}' WHERE id % 3 = 0")
    assert_results_are_the_databases(synced)


def test_results_come_from_the_database_where_a_file_is_missing(synced: Stores) -> None:
    assert synced.snapshot().skips_others(ADDRESSES[7], NOON, UNTIL)
    for file in Path(synced.lake).rglob("*.parquet"):
        file.unlink()
    assert_results_are_the_databases(synced)


def test_lake_whose_files_are_in_the_order_of_time_is_not_scanned_for_results(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leaderboard.lake.data_files.ROW_GROUP_ROWS", 24)
    monkeypatch.setattr("leaderboard.lake.data_files.SORT_COLUMNS", ("event_time", "id"))
    insert(stores, range(20))
    stores.sync()
    assert not stores.snapshot().skips_others(ADDRESSES[7], NOON, UNTIL)
    assert_results_are_the_databases(stores)
