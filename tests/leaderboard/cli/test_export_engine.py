"""What ``leaderboard export scores --engine`` does where Spark does not run."""

import sys
from pathlib import Path

import pytest

from tests.leaderboard.cli.conftest import RunCommand


def test_missing_spark_is_told_with_how_to_install_it(
    run: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    to = tmp_path / "scores.csv"
    result = run("export", "scores", "--day", "2026-09-01", "--to", str(to), "--engine", "spark")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Spark is not installed: pip install 'orchestrator-leaderboard[spark]'")
    assert not to.exists()


@pytest.mark.parametrize("option", [("--master", "local[2]"), ("--lake-only",)])
def test_options_of_spark_need_its_engine(run: RunCommand, tmp_path: Path, option: tuple[str, ...]) -> None:
    result = run("export", "scores", "--day", "2026-09-01", "--to", str(tmp_path / "scores.csv"), *option)
    assert (result.exit_code, "need --engine spark" in result.stderr) == (2, True)
