"""The same export gives the same files and tables again, also beside another export."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from leaderboard.export.datasets import EVENTS, RAW_RESULTS, Dataset
from leaderboard.export.errors import TargetConflict
from leaderboard.export.file_target import FILE_FORMATS
from leaderboard.export.runner import ExportPeriod
from leaderboard.export.targets import open_target
from queries import HybridEvents, PostgresEvents
from queries.times import day_bounds
from tests.conftest import load_events, rows
from tests.support.exports import (
    ADDRESS,
    ALL_FORMATS,
    DAILY_SCORES,
    RESULT,
    SINCE,
    RunExport,
    every_dataset,
    export_to,
    read_folder,
    sort_rows,
    start_export,
)

pytestmark = pytest.mark.slow


@every_dataset
@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_second_export_writes_the_same_bytes(
    source: HybridEvents, tmp_path: Path, dataset: Dataset, file_format: str
) -> None:
    export_to(source, dataset, tmp_path / "out", file_format)
    first = (tmp_path / "out").read_bytes()
    export_to(source, dataset, tmp_path / "out", file_format)
    assert read_folder(tmp_path) == {"out": first}


@pytest.mark.parametrize("dataset", [EVENTS, RAW_RESULTS, DAILY_SCORES], ids=["events", "raw", "scores"])
def test_replacing_a_day_of_a_table_keeps_the_same_rows(source: HybridEvents, tmp_path: Path, dataset: Dataset) -> None:
    export_to(source, dataset, tmp_path / "table", "delta")
    first = sort_rows(pl.read_delta(str(tmp_path / "table")))
    export_to(source, dataset, tmp_path / "table", "delta", ExportPeriod(*day_bounds(SINCE.date())))
    assert_frame_equal(sort_rows(pl.read_delta(str(tmp_path / "table"))), first, check_exact=True)
    assert first["day"].n_unique() == 7


@pytest.mark.parametrize("file_format", ALL_FORMATS)
def test_day_is_replaced_by_what_the_database_has_now(database: str, tmp_path: Path, file_format: str) -> None:
    event = [1700000000, ADDRESS, "FRA", "transcoding", RESULT]
    load_events(database, [event, event])
    day = ExportPeriod(*day_bounds(date(2023, 11, 14)))
    to = tmp_path / ("table" if file_format == "delta" else f"{{date}}.{file_format}")
    with closing(HybridEvents(PostgresEvents(database))) as source:
        for remaining in (2, 1, 0):
            rows(database, f"DELETE FROM events WHERE id > {remaining}")
            assert export_to(source, EVENTS, to, file_format, day).rows == remaining
            if file_format == "delta":
                assert pl.read_delta(str(to)).height == remaining
            elif file_format == "parquet":
                assert pq.read_metadata(tmp_path / "2023-11-14.parquet").num_rows == remaining


def test_two_processes_leave_the_same_files_as_one(run_export: RunExport, past: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert run_export("raw", "--to", str(tmp_path / "one" / "{date}.csv")).returncode == 0
    processes = [start_export(past, tmp_path, "raw", "--to", str(tmp_path / "two" / "{date}.csv")) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert read_folder(tmp_path / "two") == read_folder(tmp_path / "one")


def test_of_two_overlapping_writers_of_a_table_one_fails(source: HybridEvents, tmp_path: Path) -> None:
    day = day_bounds(date(2024, 9, 12))

    def frames_with_a_second_export() -> Iterator[pl.DataFrame]:
        yield from EVENTS.read(source, *day)
        export_to(source, EVENTS, tmp_path / "table", "delta", ExportPeriod(*day))

    with pytest.raises(TargetConflict):
        open_target(str(tmp_path / "table"), "delta").write(frames_with_a_second_export(), day[0].date())
    ids = pl.read_delta(str(tmp_path / "table"))["id"]
    assert ids.is_unique().all()
    assert len(ids) > 0


def test_two_processes_leave_one_table(past: str, tmp_path: Path) -> None:
    arguments = ("events", "--format", "delta", "--to", str(tmp_path / "table"), "--day", "2024-09-12")
    processes = [start_export(past, tmp_path, *arguments) for _ in range(2)]
    assert sorted(process.wait(60) for process in processes) in ([0, 0], [0, 75])
    with closing(HybridEvents(PostgresEvents(past))) as source:
        events = source.window(*day_bounds(date(2024, 9, 12))).collect()
    assert sorted(pl.read_delta(str(tmp_path / "table"))["id"]) == sorted(events["id"])
