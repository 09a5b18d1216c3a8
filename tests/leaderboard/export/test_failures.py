"""An export that fails leaves no partial file, and its exit code says whether to try again."""

import os
import resource
import signal
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg2
import pytest
from polars.testing import assert_frame_equal

from leaderboard.export.datasets import RAW_RESULTS
from leaderboard.export.errors import TargetError
from queries import HybridEvents
from tests.support.commands import LEADERBOARD, environment, run_leaderboard
from tests.support.exports import (
    ALL_FORMATS,
    DAILY_SCORES,
    DAYS,
    RunExport,
    export_to,
    export_variables,
    start_export,
    visible_names,
)


@pytest.mark.slow
def test_killed_export_leaves_no_partial_file_and_the_next_completes(
    run_export: RunExport, past: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    to = str(folder / "{date}.parquet")
    process = start_export(past, tmp_path, "raw", "--to", to)
    while not list(folder.glob(".*.partial")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = visible_names(folder)
    assert len(finished) < 9
    for name in finished:
        pl.read_parquet(folder / name)
    assert list(folder.glob(".*.partial"))
    assert run_export("raw", "--to", to).returncode == 0
    assert sorted(os.listdir(folder)) == [f"{day}.parquet" for day in DAYS]


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ALL_FORMATS)
def test_full_disk_leaves_no_partial_file(past: str, tmp_path: Path, file_format: str) -> None:
    folder = tmp_path / "out"
    arguments = ["--to", str(folder / ("table" if file_format == "delta" else f"out.{file_format}"))]
    arguments += ["--format", file_format, "--since", "2024-09-10", "--until", "2024-09-16"]
    variables = environment(**export_variables(past, tmp_path))
    done = subprocess.run(
        [*LEADERBOARD, "export", "raw", *arguments],
        # the coverage report would find the disk full as well, and compiled modules would be cut off for later tests
        env={name: value for name, value in variables.items() if not name.startswith("COVERAGE")}
        | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 73, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    if file_format == "delta":
        assert run_leaderboard("export", "raw", *arguments, **export_variables(past, tmp_path)).returncode == 0
        assert pl.read_delta(str(folder / "table"))["day"].n_unique() == 7
    else:
        assert os.listdir(folder) == []


@pytest.mark.parametrize("file_format", ["csv", "delta"])
def test_unwritable_target_is_one_line(run_export: RunExport, tmp_path: Path, file_format: str) -> None:
    (tmp_path / "file").write_text("x")
    to = str(tmp_path / "file" / ("day" if file_format == "delta" else "{date}.csv"))
    done = run_export("events", "--format", file_format, "--to", to)
    assert done.returncode == 73
    assert [line for line in done.stderr.splitlines() if line.startswith("Error: ")] == [done.stderr.splitlines()[-1]]
    assert done.stderr.splitlines()[-1].startswith(f"Error: {to} cannot be written: ")


def test_table_with_other_columns_is_not_changed(source: HybridEvents, tmp_path: Path) -> None:
    export_to(source, DAILY_SCORES, tmp_path / "table", "delta")
    before = pl.read_delta(str(tmp_path / "table"))
    with pytest.raises(TargetError):
        export_to(source, RAW_RESULTS, tmp_path / "table", "delta")
    assert_frame_equal(pl.read_delta(str(tmp_path / "table")), before)


def test_unavailable_database_means_try_again(run_export: RunExport, tmp_path: Path) -> None:
    done = run_export("events", "--to", str(tmp_path / "{date}.csv"), POSTGRES="postgresql://127.0.0.1:1/x")
    assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)
    assert visible_names(tmp_path) == []


def test_slow_database_means_try_again(run_export: RunExport, database: str, tmp_path: Path) -> None:
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE regions")
        arguments = ("events", "--day", "2024-09-10", "--to", str(tmp_path / "{date}.csv"))
        done = run_export(*arguments, POSTGRES=database, DB_TIMEOUT="0.5")
    assert done.returncode == 75
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("to", "reason"), [("{date}.csv", "is not over"), ("one.csv", "is not past")])
def test_day_that_is_not_over_means_try_again(run_export: RunExport, tmp_path: Path, to: str, reason: str) -> None:
    today = datetime.now(UTC).date()
    done = run_export("events", "--day", f"{today}", "--to", str(tmp_path / to))
    assert done.returncode == 75
    assert reason in done.stderr.splitlines()[-1]
    assert visible_names(tmp_path) == []
