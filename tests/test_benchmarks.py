"""The benchmarks run, and compare every query with plain SQL."""

import json
import shutil

import pytest

from benchmarks.figures import Figure
from benchmarks.measured_queries import DAYS, SQL
from benchmarks.trust.soak import measure_growth
from tests.conftest import new_folder
from tests.support.commands import PROJECT, run_python


def test_ratio_above_one_is_faster_or_smaller() -> None:
    assert Figure("time", "ms", [2, 1, 9], [10, 30, 20]).ratio == 10
    assert Figure("rate", "per second", [30], [10]).ratio == 3
    assert Figure("size", "bytes", [50], [100]).ratio == 2
    assert Figure("memory", "MiB", [50]).ratio is None


@pytest.mark.slow
def test_every_query_is_compared_with_sql() -> None:
    with new_folder() as folder:
        file = folder / "figures.json"
        # within one second a slow machine may see no background sync
        options = ("--events", "1000", "--runs", "1", "--seconds", "3", "--json", str(file))
        done = run_python("-m", "benchmarks", *options, cwd=PROJECT, seconds=600, TMPDIR=str(folder))
        assert done.returncode == 0, done.stderr
        (result,) = json.loads(file.read_text())["results"]
    assert result["events"] == 1000
    sections = {
        section: {figure["name"]: figure for figure in result[section]} for section in ("queries", "service", "lake")
    }
    assert {name.rpartition(",")[0] for name in sections["queries"]} == {
        f"{name}, {days} d" for name in SQL for days in DAYS
    }
    assert all(figure["ratio"] > 0 for figure in sections["queries"].values())
    assert all(min(figure["values"]) >= 0 for section in sections.values() for figure in section.values())
    assert ("a cached response, 32 connections" in sections["service"]) == (shutil.which("wrk") is not None)
    assert all(name in done.stdout for section in sections.values() for name in section)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "section"),
    [
        ("soak --minutes 0.1 --results 1000", "growth"),
        ("overload --connections 8 --results 1000 --seconds 1", "8"),
        ("slow-clients --clients 4 --kind half-body --seconds 1", "half-body"),
    ],
)
def test_trust_prints_what_it_measured(arguments: str, section: str) -> None:
    done = run_python("-m", "benchmarks.trust", *arguments.split(), cwd=PROJECT, seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)[section]


def test_growth_is_the_median_slope_after_the_warm_up() -> None:
    warm_up = [{"minutes": float(minute), "threads": 10.0 * minute} for minute in range(4)]
    steady = [{"minutes": float(minute), "threads": 40.0 + (minute == 7) * 1000} for minute in range(4, 10)]
    assert measure_growth(warm_up + steady) == {"threads": {"median": 40, "max": 1040, "per_minute": 0}}
    rising = [{"minutes": float(minute), "threads": 2.0 * minute} for minute in range(10)]
    assert measure_growth(rising)["threads"]["per_minute"] == 2
