"""The formulas against values worked out by hand."""

from collections.abc import Callable
from math import exp, log
from typing import Any

import polars as pl
import pytest

from queries import AI, FORMULA_1, FORMULA_2, EventFilter, Formula, aggregated_stats, top_ai_score
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
TRANSCODING_JOBS = EventFilter()
AI_JOB = {"job_type": AI, "pipeline": "LLM", "model": "m"}


def scores(
    engine: Engine,
    rows: list[dict[str, Any]],
    query: EventFilter = TRANSCODING_JOBS,
    formula: Formula = FORMULA_2,
) -> dict[str, tuple[float, ...]]:
    """Orchestrator to success_rate, round_trip_score, score."""
    found = to_polars(aggregated_stats(engine(make_events(rows)), query, formula=formula))
    return {row[0]: row[2:] for row in found.iter_rows()}


def ai_scores(
    engine: Engine, rows: list[dict[str, Any]], formula: Formula = FORMULA_2, **query: str
) -> dict[str, tuple[float, ...]]:
    return scores(engine, [AI_JOB | row for row in rows], EventFilter(**AI_JOB, **query), formula)


def test_transcoding_score_is_success_times_latency(on_engine: Engine) -> None:
    # d = 2, t = 1: 1 − e^(−2) = 0.8646647167633873
    rows = [{"success_rate": 0.5, "round_trip_time": 1.0, "seg_duration": 2.0}]
    assert scores(on_engine, rows)["0xa"] == pytest.approx((0.5, 0.8646647167633873, 0.43233235838169365), abs=1e-9)


def test_transcoding_formula_applies_to_the_means(on_engine: Engine) -> None:
    # s = 0.75, d = 2, t = 2: 1 − e^(−1) = 0.6321205588285577
    rows = [
        {"success_rate": 1.0, "round_trip_time": 1.0, "seg_duration": 2.0},
        {"success_rate": 0.5, "round_trip_time": 3.0, "seg_duration": 2.0},
    ]
    assert scores(on_engine, rows)["0xa"] == pytest.approx((0.75, 0.6321205588285577, 0.4740904191214183), abs=1e-9)


def test_zero_round_trip_time_scores_0(on_engine: Engine) -> None:
    assert scores(on_engine, [{"success_rate": 1.0, "round_trip_time": 0.0}])["0xa"] == (1.0, 0.0, 0.0)


def test_single_zero_round_trip_time_counts_in_the_mean(on_engine: Engine) -> None:
    rows = [{"round_trip_time": 0.0, "seg_duration": 0.0}, {"round_trip_time": 2.0, "seg_duration": 2.0}]
    assert scores(on_engine, rows)["0xa"][1] == pytest.approx(1 - exp(-1), abs=1e-9)


def test_zero_segment_duration_scores_0(on_engine: Engine) -> None:
    assert scores(on_engine, [{"seg_duration": 0.0}])["0xa"] == (1.0, 0.0, 0.0)


def test_zero_success_rate_scores_0(on_engine: Engine) -> None:
    success, latency, score = scores(on_engine, [{"success_rate": 0.0, "round_trip_time": 0.5}])["0xa"]
    assert (success, score) == (0.0, 0.0)
    assert latency == pytest.approx(1 - exp(-4), abs=1e-9)


def test_success_rate_above_1_counts_as_1(on_engine: Engine) -> None:
    rows = [{"success_rate": 4.0}, {"success_rate": 0.5}]
    assert scores(on_engine, rows)["0xa"][0] == pytest.approx(0.75, abs=1e-9)


def test_median_ai_job_has_a_round_trip_score_of_0_8(on_engine: Engine) -> None:
    rows = [{"orchestrator": name, "round_trip_time": time} for name, time in (("a", 1.0), ("b", 2.0), ("c", 6.0))]
    answer = ai_scores(on_engine, rows)
    assert answer["b"] == pytest.approx((1.0, 0.8, 0.93), abs=1e-9)
    assert answer["a"][1] == pytest.approx(0.8**0.5, abs=1e-9)
    assert answer["c"][1] == pytest.approx(0.8**3, abs=1e-9)


def test_median_of_an_even_number_is_interpolated(on_engine: Engine) -> None:
    rows = [{"orchestrator": name, "round_trip_time": time} for name, time in (("a", 1.0), ("b", 2.0))]
    # the median is 1.5
    assert ai_scores(on_engine, rows)["a"][1] == pytest.approx(exp(log(0.8) / 1.5), abs=1e-9)


def test_single_ai_job_is_its_own_median(on_engine: Engine) -> None:
    assert ai_scores(on_engine, [{"round_trip_time": 7.0}])["0xa"] == pytest.approx((1.0, 0.8, 0.93), abs=1e-9)


def test_failed_and_zero_time_jobs_are_not_in_the_median(on_engine: Engine) -> None:
    rows = [
        {"orchestrator": "a", "round_trip_time": 2.0},
        {"orchestrator": "b", "round_trip_time": 100.0, "success_rate": 0.9},
        {"orchestrator": "c", "round_trip_time": 0.0},
    ]
    answer = ai_scores(on_engine, rows)
    assert answer["a"][1] == pytest.approx(0.8, abs=1e-9)
    assert answer["b"][1] == pytest.approx(0.8**50, abs=1e-9)
    assert answer["c"][1] == pytest.approx(1.0, abs=1e-9)


def test_round_trip_score_is_0_without_a_median(on_engine: Engine) -> None:
    rows = [{"success_rate": 0.5, "round_trip_time": 3.0}]
    assert ai_scores(on_engine, rows)["0xa"] == pytest.approx((0.5, 0.0, 0.325), abs=1e-9)


def test_ai_score_is_0_without_a_success(on_engine: Engine) -> None:
    rows = [{"orchestrator": "a"}, {"orchestrator": "b", "success_rate": 0.0}]
    assert ai_scores(on_engine, rows)["b"] == pytest.approx((0.0, 0.8, 0.0), abs=1e-9)


def test_orchestrator_filter_keeps_the_network_median(on_engine: Engine) -> None:
    rows = [{"orchestrator": name, "round_trip_time": time} for name, time in (("a", 1.0), ("b", 2.0), ("c", 6.0))]
    answer = ai_scores(on_engine, rows, orchestrator="c")
    assert answer.keys() == {"c"}
    assert answer["c"][1] == pytest.approx(0.8**3, abs=1e-9)


def test_median_does_not_depend_on_the_region_asked_for(on_engine: Engine) -> None:
    rows = [
        {"orchestrator": "a", "round_trip_time": 1.0},
        {"orchestrator": "a", "round_trip_time": 4.0, "region": "MDW"},
    ]
    # the median of both is 2.5
    assert ai_scores(on_engine, rows, region="MDW")["a"][1] == pytest.approx(0.8 ** (4 / 2.5), abs=1e-9)
    # the predecessor's is that of the region
    assert ai_scores(on_engine, rows, FORMULA_1, region="MDW")["a"][1] == pytest.approx(0.8, abs=1e-9)


def test_other_jobs_do_not_change_a_score(on_engine: Engine) -> None:
    rows = [
        AI_JOB | {"round_trip_time": 1.0},
        AI_JOB | {"round_trip_time": 9.0, "model": "other"},
        AI_JOB | {"round_trip_time": 9.0, "pipeline": "other"},
        {"round_trip_time": 2.0},
    ]
    assert scores(on_engine, rows, EventFilter(**AI_JOB))["0xa"] == pytest.approx((1.0, 0.8, 0.93), abs=1e-9)
    assert scores(on_engine, rows)["0xa"][1] == pytest.approx(1 - exp(-1), abs=1e-9)


def best(engine: Engine, rows: list[dict[str, Any]]) -> tuple[Any, ...]:
    """Region, pipeline, model, score of the best job of 0xa."""
    answer = to_polars(
        top_ai_score(engine(make_events([AI_JOB | row for row in rows])), EventFilter(orchestrator="0xa"))
    )
    return answer.row(0)[1:]


def test_top_job_is_the_most_successful_then_the_fastest(on_engine: Engine) -> None:
    rows = [
        {"region": "FRA", "success_rate": 0.9, "round_trip_time": 0.1},
        {"region": "MDW", "success_rate": 1.0, "round_trip_time": 4.0},
        {"region": "LAX", "success_rate": 1.0, "round_trip_time": 2.0},
    ]
    # the median of the two that succeeded is 3
    region, _, _, score = best(on_engine, rows)
    assert region == "LAX"
    assert score == pytest.approx(0.65 + 0.35 * 0.8 ** (2 / 3), abs=1e-9)


def test_equal_top_jobs_are_ordered_by_name(on_engine: Engine) -> None:
    rows = [
        {"pipeline": "b", "model": "a", "region": "A"},
        {"pipeline": "a", "model": "b", "region": "A"},
        {"pipeline": "a", "model": "a", "region": "B"},
        {"pipeline": "a", "model": "a", "region": "A"},
    ]
    assert best(on_engine, rows)[:3] == ("A", "a", "a")


def test_top_job_uses_the_median_of_its_model(on_engine: Engine) -> None:
    rows = [{"round_trip_time": 2.0}, {"orchestrator": "0xb", "model": "other", "round_trip_time": 50.0}]
    assert best(on_engine, rows)[3] == pytest.approx(0.93, abs=1e-9)


def test_top_job_without_a_success_scores_0(on_engine: Engine) -> None:
    assert best(on_engine, [{"success_rate": 0.0}])[3] == 0.0
