"""Exported scores say which formula they are by, and a table takes those of one formula."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake

from leaderboard.export.datasets import EVENTS, Dataset, daily_scores, window_scores
from leaderboard.export.errors import TargetError
from leaderboard.export.runner import ExportPeriod
from queries import AI, FORMULA_1, FORMULA_2, EventFilter, HybridEvents, PostgresEvents, aggregated_stats
from queries.times import day_bounds
from tests.conftest import load_events, rows
from tests.support.commands import run_leaderboard
from tests.support.exports import ADDRESS, DAILY_SCORES, RESULT, SCORES, export_to, export_variables

pytestmark = pytest.mark.slow

DAY = date(2023, 11, 14)
NOON = day_bounds(DAY)[0].timestamp() + 43_200
LIVE = {"pipeline": "live-video-to-video", "model": "streamdiffusion", "success_rate": 1, "seg_duration": 0}
BUSY = {"success_rate": 0, "round_trip_time": 0, "errors": [{"error_code": "OrchestratorBusy", "count": 1}]}
WITHOUT_BUSY = replace(FORMULA_2, ignores_busy=True)


def period(days: int = 1) -> ExportPeriod:
    return ExportPeriod(day_bounds(DAY)[0], day_bounds(DAY + timedelta(days=days - 1))[1])


@pytest.fixture
def source(database: str) -> Iterator[HybridEvents]:
    """A live stream and its unscored test, and a transcoding job that succeeded and one that met a busy orchestrator.

    The second day has a transcoding job alone.
    """
    results: list[tuple[str, dict[str, Any]]] = [
        ("ai", LIVE | {"round_trip_time": 0.9, "test_outcome": "passed"}),
        ("ai", LIVE | {"success_rate": 0, "test_outcome": "unscored_busy"}),
        ("transcoding", RESULT),
        ("transcoding", RESULT | BUSY),
    ]
    load_events(database, [[NOON, ADDRESS, "FRA", job_type, payload] for job_type, payload in results])
    load_events(database, [[NOON + 86_400, ADDRESS, "FRA", "transcoding", RESULT]])
    with closing(HybridEvents(PostgresEvents(database))) as source:
        yield source


def counts(source: HybridEvents, dataset: Dataset, to: Path) -> list[tuple[Any, ...]]:
    export_to(source, dataset, to, "parquet", period())
    return pl.read_parquet(to).select("formula", "job_type", "succeeded", "failed", "unscored").sort("job_type").rows()


def test_rows_say_what_their_formula_counts(source: HybridEvents, tmp_path: Path) -> None:
    to = tmp_path / "scores.parquet"
    for make in (window_scores, daily_scores):
        assert counts(source, make(FORMULA_1), to) == [("1", "ai", 1, 1, 0), ("1", "transcoding", 1, 1, 0)]
        assert counts(source, make(FORMULA_2), to) == [("2", "ai", 1, 0, 1), ("2", "transcoding", 1, 1, 0)]
        label = "2 busy=ignore"
        assert counts(source, make(WITHOUT_BUSY), to) == [(label, "ai", 1, 0, 1), (label, "transcoding", 1, 0, 1)]
    export_to(source, SCORES, to, "parquet", period())
    (quality,) = pl.read_parquet(to).filter(job_type="ai").select("sum_quality", "quality_events", "score").rows()
    assert quality == (0.9, 1, pytest.approx(0.65 + 0.35 * 0.9))


def test_scores_of_a_window_have_the_newest_spelling(database: str, source: HybridEvents, tmp_path: Path) -> None:
    job = RESULT | {"model": "m"}
    spellings = ("Text to image", "text-to-image", "TEXT_TO_IMAGE", "Text-to-Image")
    load_events(
        database,
        [[NOON + n, ADDRESS, "FRA", "ai", job | {"pipeline": spelling}] for n, spelling in enumerate(spellings)],
    )
    export_to(source, SCORES, tmp_path / "scores.parquet", "parquet", period())
    found = pl.read_parquet(tmp_path / "scores.parquet").filter(model="m")
    assert found.select("pipeline", "events").rows() == [("Text-to-Image", 4)]


def test_table_takes_one_formula(source: HybridEvents, tmp_path: Path) -> None:
    to = tmp_path / "table"
    export_to(source, DAILY_SCORES, to, "delta", period(2))
    before = pl.read_delta(str(to))
    assert set(before["formula"]) == {"2"}
    for formula, name in ((FORMULA_1, "1"), (WITHOUT_BUSY, "2 busy=ignore")):
        with pytest.raises(TargetError, match=f"has scores by formula 2, not {name}; choose that formula, or use"):
            export_to(source, daily_scores(formula), to, "delta", period())
    assert pl.read_delta(str(to)).equals(before)


def test_only_day_of_a_table_may_get_another_formula(source: HybridEvents, tmp_path: Path) -> None:
    for formula in (FORMULA_1, FORMULA_2):
        export_to(source, daily_scores(formula), tmp_path / "table", "delta", period())
        assert set(pl.read_delta(str(tmp_path / "table"))["formula"]) == {formula.name}


def test_table_of_an_older_release_has_scores_by_formula_1(source: HybridEvents, tmp_path: Path) -> None:
    to = tmp_path / "table"
    export_to(source, daily_scores(FORMULA_1), to, "delta", period(2))
    new_columns = ("formula", "succeeded", "failed", "unscored", "sum_quality", "quality_events")
    older = pl.read_delta(str(to)).drop(new_columns)
    write_deltalake(to, older.to_arrow(), mode="overwrite", schema_mode="overwrite", partition_by=["day"])
    with pytest.raises(TargetError, match="has scores by formula 1, not 2"):
        export_to(source, DAILY_SCORES, to, "delta", period())
    export_to(source, daily_scores(FORMULA_1), to, "delta", period())
    found = pl.read_delta(str(to))
    assert found.filter(day=DAY).select("formula", "unscored").unique().rows() == [("1", 0)]
    # the rows of the other day stay as they are
    assert found.filter(pl.col("day") > DAY).select("formula", "unscored", "events").rows() == [(None, None, 1)]


def test_table_takes_one_dataset(source: HybridEvents, tmp_path: Path) -> None:
    export_to(source, DAILY_SCORES, tmp_path / "table", "delta", period())
    with pytest.raises(TargetError, match=r"has other columns \(formula, .*\); use another folder"):
        export_to(source, EVENTS, tmp_path / "table", "delta", period())


def test_command_scores_by_the_formula_of_the_settings(database: str, source: HybridEvents, tmp_path: Path) -> None:
    variables = export_variables(database, tmp_path)
    to = str(tmp_path / "{date}.parquet")
    for options, setting, expected in (
        ((), {}, "2"),
        ((), {"FORMULA": "1"}, "1"),
        (("--formula", "2", "--busy", "ignore"), {"FORMULA": "1"}, "2 busy=ignore"),
    ):
        done = run_leaderboard(
            *("export", "scores", "--by", "day", "--day", str(DAY), "--to", to), *options, **variables | setting
        )
        assert (done.returncode, done.stderr) == (0, f"scores (formula {expected}) of 1 day: 2 rows at {to}\n")
        assert set(pl.read_parquet(tmp_path / f"{DAY}.parquet")["formula"]) == {expected}


def test_excluded_results_are_in_no_score_by_formula_2(database: str, source: HybridEvents, tmp_path: Path) -> None:
    statement = (
        "INSERT INTO exclusions (region, job_type, since, until, reason, added_by) "
        f"VALUES ('FRA', 'transcoding', '{DAY}', '{DAY + timedelta(days=1)}', 'the disk was full', 'me')"
    )
    rows(database, statement)
    for dataset, expected in ((DAILY_SCORES, ["ai"]), (daily_scores(FORMULA_1), ["ai", "transcoding"])):
        export_to(source, dataset, tmp_path / "scores.parquet", "parquet", period())
        assert sorted(pl.read_parquet(tmp_path / "scores.parquet")["job_type"]) == expected


def test_sums_give_the_score_of_live_video(source: HybridEvents, tmp_path: Path) -> None:
    export_to(source, SCORES, tmp_path / "scores.parquet", "parquet", period())
    row = pl.read_parquet(tmp_path / "scores.parquet").filter(job_type="ai").row(0, named=True)
    success, quality = row["sum_success_rate"] / row["events"], row["sum_quality"] / row["quality_events"]
    job = EventFilter(AI, pipeline=LIVE["pipeline"], model=LIVE["model"])
    (score,) = aggregated_stats(source.window(*day_bounds(DAY)), job).collect()["score"]
    assert score == pytest.approx(0.65 * success + 0.35 * quality)
