"""``leaderboard export --to -`` writes to standard output, for a pipe."""

import csv
import io
import os
import pty
import subprocess
from pathlib import Path

import pytest

from leaderboard.export.datasets import EVENTS, RAW_RESULTS, Dataset
from leaderboard.export.file_target import FILE_FORMATS
from queries import HybridEvents
from tests.conftest import load_events
from tests.support.commands import LEADERBOARD, environment
from tests.support.exports import ADDRESS, RESULT, RunExport, export_to, export_variables

pytestmark = pytest.mark.slow

WEEK_OPTIONS = ("--since", "2024-09-10", "--until", "2024-09-16")


@pytest.mark.parametrize("file_format", FILE_FORMATS)
@pytest.mark.parametrize("dataset", [EVENTS, RAW_RESULTS], ids=["events", "raw"])
def test_standard_output_has_the_bytes_of_a_file(
    source: HybridEvents, past: str, tmp_path: Path, dataset: Dataset, file_format: str
) -> None:
    done = subprocess.run(
        [*LEADERBOARD, "export", dataset.name, "--to", "-", "--format", file_format, *WEEK_OPTIONS],
        env=environment(**export_variables(past, tmp_path)),
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    progress = export_to(source, dataset, tmp_path / "file", file_format)
    assert done.stdout == (tmp_path / "file").read_bytes()
    assert f"{dataset.name}: {progress.rows:,} rows" in done.stderr.decode()
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("file_format", ["csv", "ndjson", "parquet"])
def test_reader_that_ends_early_is_no_traceback(past: str, tmp_path: Path, file_format: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*LEADERBOARD, "export", "raw", "--to", "-", "--format", file_format, *WEEK_OPTIONS],
        env=environment(**export_variables(past, tmp_path)),
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write_end)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be written" not in done.stderr


@pytest.mark.parametrize("file_format", ["parquet", "arrow"])
def test_binary_format_is_refused_on_a_terminal(past: str, tmp_path: Path, file_format: str) -> None:
    leader, terminal = pty.openpty()
    done = subprocess.run(
        [*LEADERBOARD, "export", "events", "--to", "-", "--format", file_format, "--day", "2024-09-10"],
        env=environment(**export_variables(past, tmp_path)),
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(terminal)
    os.close(leader)
    assert done.returncode == 2
    assert "send it to a file or a pipe" in done.stderr


@pytest.mark.parametrize(("options", "model"), [((), "'=1+1"), (("--keep-formulas",), "=1+1")])
def test_keep_formulas_leaves_text_as_it_is(
    run_export: RunExport, database: str, options: tuple[str, ...], model: str
) -> None:
    payload = RESULT | {"pipeline": "p", "model": "=1+1"}
    load_events(database, [[1700000000, ADDRESS, "FRA", "ai", payload]])
    arguments = ("events", "--to", "-", "--format", "csv", "--day", "2023-11-14", *options)
    done = run_export(*arguments, POSTGRES=database)
    assert [row["model"] for row in csv.DictReader(io.StringIO(done.stdout))] == [model]
