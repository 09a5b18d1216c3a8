"""The benchmarks run, and measure every question both ways."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.questions import DAYS, SQL
from tests.support.commands import PROJECT, environment


@pytest.mark.slow
def test_every_question_is_measured_both_ways() -> None:
    with tempfile.TemporaryDirectory(prefix="leaderboard-tests-") as folder:
        Path(folder).chmod(0o755)
        figures = Path(folder) / "figures.json"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks",
                "--events",
                "1000",
                "--runs",
                "1",
                # within one a slow machine comes to nothing
                "--seconds",
                "3",
                "--json",
                str(figures),
            ],
            cwd=PROJECT,
            env=environment(TMPDIR=folder),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (measured,) = json.loads(figures.read_text())["figures"]
    assert {(figure["question"], figure["days"]) for figure in measured["answers"]} == {
        (name, days) for name in SQL for days in DAYS
    }
    assert all(min(figure["service_ms"] + figure["sql_ms"]) > 0 for figure in measured["answers"])
    assert measured["first_answer_s"] > 0
    assert measured["memory_mib"] > 0
    assert len(measured["loads"]) == (5 if shutil.which("wrk") else 0)
    assert all(load["per_second"] > 0 for load in measured["loads"])
    assert all(name in done.stdout for name in SQL)
