"""Intervals of scores: against plain Python, and how often they contain the true score."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from benchmarks.coverage import DISTRIBUTIONS, PIPELINES, measure_coverage
from queries import AI, FORMULA_2, EventFilter, ranking
from tests.queries.conftest import make_events, to_polars
from tests.support.plain_intervals import Job, ai_spreads, interval, live_spreads, transcoding_spreads

Engine = Callable[[pl.DataFrame], Any]
Rows = list[dict[str, Any]]
AI_JOB = {"job_type": AI, "pipeline": "LLM", "model": "m"}
LIVE_JOB = {"job_type": AI, "pipeline": "Live video to video", "model": "m"}
MIXED = [Job(1, 1.0), Job(0.5, 3.0, 1.5), Job(1, 1.5), Job(0, 0.0, 0.0), Job(1, 0.7, 2.5)]
WHOLE = [Job(1, 1.0), Job(1, 2.0), Job(1, 1.2)]
FAILED = [Job(0, 4.0), Job(0, 6.0)]


def rows_of(orchestrator: str, jobs: list[Job], **columns: Any) -> Rows:
    names = ("success_rate", "round_trip_time", "seg_duration")
    return [{"orchestrator": orchestrator} | dict(zip(names, map(float, job), strict=True)) | columns for job in jobs]


def ranks(engine: Engine, rows: Rows, **options: Any) -> dict[str, dict[str, Any]]:
    """The rows of the ranking by orchestrator."""
    job_type = rows[0].get("job_type", "transcoding")
    found = to_polars(ranking(engine(make_events(rows)), EventFilter(job_type=job_type), **options))
    return {row["orchestrator"]: row for row in found.to_dicts()}


def ends(row: dict[str, Any]) -> tuple[float, float]:
    return row["score_ci_low"], row["score_ci_high"]


def test_interval_of_transcoding(on_engine: Engine) -> None:
    groups = {"0xa": MIXED, "0xb": WHOLE, "0xc": FAILED, "0xd": [Job(1, 0.5)]}
    found = ranks(on_engine, [row for name, jobs in groups.items() for row in rows_of(name, jobs)])
    for name, spread in zip(groups, transcoding_spreads([*groups.values()]), strict=True):
        assert ends(found[name]) == pytest.approx(interval([spread]), abs=1e-9), name


def test_interval_of_ai_jobs(on_engine: Engine) -> None:
    groups = {"0xa": MIXED, "0xb": WHOLE, "0xc": FAILED, "0xd": [Job(1, 0.5)]}
    found = ranks(on_engine, [row for name, jobs in groups.items() for row in rows_of(name, jobs, **AI_JOB)])
    # successful: 1, 1.5, 0.7, 1, 2, 1.2, 0.5
    for name, spread in zip(groups, ai_spreads([*groups.values()], median=1.0), strict=True):
        assert ends(found[name]) == pytest.approx(interval([spread]), abs=1e-9), name


def test_interval_of_live_video(on_engine: Engine) -> None:
    groups = {
        "0xa": [Job(1, 0.9), Job(0, 0), Job(1, 0.6), Job(1, 0.7)],
        "0xb": [Job(1, 1.0), Job(1, 1.0)],
        "0xc": [Job(0, 0), Job(0, 0)],
    }
    found = ranks(on_engine, [row for name, jobs in groups.items() for row in rows_of(name, jobs, **LIVE_JOB)])
    for name, spread in zip(groups, live_spreads([*groups.values()]), strict=True):
        assert ends(found[name]) == pytest.approx(interval([spread]), abs=1e-9), name


def test_interval_of_a_mean_over_regions_and_models(on_engine: Engine) -> None:
    rows = [
        *rows_of("0xa", MIXED, **AI_JOB, region="FRA"),
        *rows_of("0xa", WHOLE, **AI_JOB, region="LAX"),
        *rows_of("0xa", FAILED, **AI_JOB | {"model": "n"}, region="LAX"),
    ]
    fra, lax = ai_spreads([MIXED, WHOLE], median=1.1)
    # of model n nothing succeeded, so there is no median, and the time does not count
    (other,) = ai_spreads([FAILED], median=float("inf"))
    other = other._replace(high_centre=0.0)
    found = ranks(on_engine, rows)["0xa"]
    expected = interval([fra, lax, other], [1 / 2, 1 / 2 * 3 / 5, 1 / 2 * 2 / 5])
    assert ends(found) == pytest.approx(expected, abs=1e-9)


def test_results_of_long_ago_do_not_shorten_the_interval(on_engine: Engine) -> None:
    new, old = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        *rows_of("0xa", MIXED, event_time=new),
        *rows_of("0xa", WHOLE * 10, event_time=old),
        *rows_of("0xb", WHOLE, event_time=new),
    ]
    expected = transcoding_spreads([MIXED, WHOLE])
    found = ranks(on_engine, rows, formula=replace(FORMULA_2, half_life=timedelta(days=1)))
    for name, spread in zip(("0xa", "0xb"), expected, strict=True):
        assert ends(found[name]) == pytest.approx(interval([spread]), abs=1e-9), name


def test_three_of_three_successes_allow_a_low_score() -> None:
    found = ranks(pl.DataFrame.lazy, rows_of("0xa", [Job(1, 1.0)] * 3))["0xa"]
    assert found["score"] == pytest.approx(0.8647, abs=1e-4)
    assert found["score_ci_low"] < 0.4
    assert found["score_ci_high"] > found["score"]


def test_orchestrator_that_was_only_unscored_has_no_interval(on_engine: Engine) -> None:
    rows = rows_of("0xa", [Job(1, 0.9)], **LIVE_JOB)
    unscored = rows_of("0xb", [Job(0, 0)], **LIVE_JOB, outcome="unscored_busy")
    found = ranks(on_engine, rows + unscored)
    assert (*ends(found["0xb"]), found["0xb"]["rank_low"], found["0xb"]["rank_high"]) == (None,) * 4
    assert (found["0xa"]["rank_low"], found["0xa"]["rank_high"]) == (1, 1)


def test_interval_contains_the_score_and_equals_that_of_scaled_times() -> None:
    jobs = [Job(1, seconds / 7) for seconds in range(1, 40)] + FAILED
    found = {
        scale: ranks(
            pl.DataFrame.lazy, rows_of("0xa", [job._replace(seconds=job.seconds * scale) for job in jobs], **AI_JOB)
        )
        for scale in (1e-6, 1, 1e6)
    }
    (first, *others) = (ends(row["0xa"]) for row in found.values())
    assert all(other == pytest.approx(first, abs=1e-9) for other in others)
    assert first[0] < found[1]["0xa"]["score"] < first[1]


@pytest.mark.parametrize("columns", [{}, AI_JOB, LIVE_JOB], ids=["transcoding", "AI", "live"])
def test_interval_of_odd_values_contains_the_score(on_engine: Engine, columns: dict[str, Any]) -> None:
    odd = [Job(1, 0.0), Job(1, 1.0, 0.0), Job(1, 1e12), Job(1, 1e-12), Job(0, 0.0, 0.0)]
    groups = [jobs for job in odd for jobs in ([job], [job] * 3, [job, Job(1, 1.0)])]
    rows = [row for number, jobs in enumerate(groups) for row in rows_of(f"0x{number:x}", jobs, **columns)]
    found = ranks(on_engine, rows)
    assert len(found) == len(groups)
    for row in found.values():
        assert 0 <= row["score_ci_low"] <= row["score"] <= row["score_ci_high"] <= 1
        assert 1 <= row["rank_low"] <= row["rank"] <= row["rank_high"] <= len(groups)


def test_ranks_are_those_that_the_intervals_allow(on_engine: Engine) -> None:
    counts = {"0xa": (40, 0), "0xb": (40, 0), "0xc": (30, 10), "0xd": (2, 0), "0xe": (0, 40), "0xf": (10, 30)}
    rows = [
        row
        for name, (succeeded, failed) in counts.items()
        for row in rows_of(name, [Job(1, 1.0)] * succeeded + [Job(0, 1.0)] * failed)
    ]
    found = ranks(on_engine, rows)
    for name, row in found.items():
        low, high = ends(row)
        above = [other for other in found.values() if other["score_ci_low"] > high]
        not_below = [other for other in found.values() if other["score_ci_high"] >= low]
        assert (row["rank_low"], row["rank_high"]) == (1 + len(above), len(not_below)), name
    assert {name: (row["rank_low"], row["rank_high"]) for name, row in found.items()} == {
        "0xa": (1, 3),
        "0xb": (1, 3),
        "0xc": (3, 4),
        "0xd": (1, 5),
        "0xe": (6, 6),
        "0xf": (4, 5),
    }


def test_orchestrator_filter_keeps_the_ranks_among_all(on_engine: Engine) -> None:
    rows = rows_of("0xa", [Job(1, 1.0)] * 40) + rows_of("0xb", [Job(0, 1.0)] * 40)
    found = to_polars(ranking(on_engine(make_events(rows)), EventFilter(orchestrator="0xb"))).row(0, named=True)
    assert (found["rank_low"], found["rank_high"]) == (2, 2)


SAMPLES = {3: 150, 5: 150, 10: 100, 30: 60, 100: 30, 300: 20}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PIPELINES)
def test_intervals_contain_the_true_score(kind: str) -> None:
    shares = pl.concat(measure_coverage(kind, distribution, SAMPLES, seed=1) for distribution in DISTRIBUTIONS)
    coverage = pl.col("coverage").mean()
    by_events = shares.group_by("regions", "events").agg(coverage)
    assert by_events.filter(~pl.col("coverage").is_between(0.9, 0.99)).is_empty()
    # without any failure, nothing but the time can put the true score outside
    by_rate = shares.group_by("regions", "rate").agg(coverage)
    assert by_rate.filter(~pl.col("coverage").is_between(0.9, 0.995)).is_empty()
