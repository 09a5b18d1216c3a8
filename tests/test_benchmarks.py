"""The benchmarks run, and compare every query with plain SQL."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.figures import Figure
from benchmarks.growth import QUESTIONS, SINCE, main
from benchmarks.measured_queries import DAYS, SQL, UNTIL
from benchmarks.trust.overload import measure_overload
from benchmarks.trust.processes.programs import find_program
from benchmarks.trust.setup import running
from benchmarks.trust.slow_clients import measure_slow_clients
from benchmarks.trust.soak import measure_growth, run_soak
from queries import open_events
from tests.conftest import new_folder
from tests.support.commands import PROJECT, run_python


def test_ratio_above_one_is_faster_or_smaller() -> None:
    assert Figure("time", "ms", [2, 1, 9], [10, 30, 20]).ratio == 10
    assert Figure("rate", "per second", [30], [10]).ratio == 3
    assert Figure("size", "bytes", [50], [100]).ratio == 2
    assert Figure("memory", "MiB", [50]).ratio is None


@pytest.mark.slow
def test_every_figure_is_measured_in_one_run() -> None:
    with new_folder() as folder:
        file = folder / "figures.json"
        options = ("--events", "1000", "--runs", "1", "--seconds", "1", "--json", str(file))
        done = run_python("-m", "benchmarks", *options, cwd=PROJECT, seconds=600, TMPDIR=str(folder))
        assert done.returncode == 0, done.stderr
        (result,) = json.loads(file.read_text())["results"]
    assert result["events"] == 1000
    sections = {
        section: {figure["name"]: figure for figure in result[section]} for section in ("queries", "service", "lake")
    }
    queries = sections["queries"]
    assert {name.rpartition(",")[0] for name in queries} == {f"{name}, {days} d" for name in SQL for days in DAYS}
    assert [name for name in queries if name.endswith("kept")] == ["transcoding scores, 1 d, kept"]
    assert all(figure["plain"] == "SQL" and figure["ratio"] > 0 for figure in queries.values())
    assert all(min(figure["values"]) >= 0 for section in sections.values() for figure in section.values())
    with_wrk, with_nginx = (find_program(name) is not None for name in ("wrk", "nginx"))
    assert ("regions, 32 connections" in sections["service"]) == with_wrk
    assert ("regions through nginx, 32 connections" in sections["service"]) == (with_wrk and with_nginx)
    assert all(name in done.stdout for section in sections.values() for name in section)


@pytest.mark.slow
def test_growth_is_measured_over_copied_files_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.growth.MAX_SIMULATED_RESULTS", 1000)
    question = "ranking"
    monkeypatch.setattr("benchmarks.growth.QUESTIONS", {question: QUESTIONS[question]})
    options = ("--results", "3000", "--runs", "1", "--folder", str(tmp_path), "--json", str(tmp_path / "figures.json"))
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.output
    (result,) = json.loads((tmp_path / "figures.json").read_text())["results"]
    figures = {figure["name"]: figure["values"] for figure in result["figures"]}
    assert all(min(values) > 0 for values in figures.values())
    assert {f"{question}, {source}, first answer" for source in ("lake", "decoded")} < {*figures}
    events = open_events(str(tmp_path / "3000")).window(SINCE, UNTIL).collect()
    assert (events.height, events["id"].n_unique()) == (3000, 1000)


@pytest.mark.slow
def test_trust_measures_a_service() -> None:
    def discard(_: str) -> None:
        """Progress, which nobody reads here."""

    with running(None, results=1000) as setup:
        soak = run_soak(setup.service, setup.database, 0.05, discard)
        assert (soak["violations"], bool(soak["growth"])) == (0, True)
        assert measure_overload(setup.port, [8], 1, discard)["8"]
        assert measure_slow_clients(setup.service, setup.port, ["half-body"], [4], 1, discard)["half-body"]


def test_growth_is_the_median_slope_after_the_warm_up() -> None:
    warm_up = [{"minutes": float(minute), "threads": 10.0 * minute} for minute in range(4)]
    steady = [{"minutes": float(minute), "threads": 40.0 + (minute == 7) * 1000} for minute in range(4, 10)]
    assert measure_growth(warm_up + steady) == {"threads": {"median": 40, "max": 1040, "per_minute": 0}}
    rising = [{"minutes": float(minute), "threads": 2.0 * minute} for minute in range(10)]
    assert measure_growth(rising)["threads"]["per_minute"] == 2
