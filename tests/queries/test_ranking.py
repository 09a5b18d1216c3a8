"""The ranking against values worked out by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import exp
from typing import Any

import polars as pl
import pytest

from queries import AI, EventFilter, ranking
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
TRANSCODING_JOBS = EventFilter()


def ranks(
    engine: Engine, rows: list[dict[str, Any]], query: EventFilter = TRANSCODING_JOBS, **options: Any
) -> dict[str, dict[str, Any]]:
    """The rows by orchestrator, in their order."""
    return {
        row["orchestrator"]: row for row in to_polars(ranking(engine(make_events(rows)), query, **options)).to_dicts()
    }


def ai(**columns: Any) -> dict[str, Any]:
    return {"job_type": AI, "pipeline": "LLM", "model": "m"} | columns


def test_score_is_the_unweighted_mean_over_regions(on_engine: Engine) -> None:
    rows = [
        {"region": "FRA", "success_rate": 1.0, "round_trip_time": 1.0},
        *[{"region": "LON", "success_rate": 0.5, "round_trip_time": 2.0}] * 3,
    ]
    found = ranks(on_engine, rows)["0xa"]
    assert (found["events"], found["regions"], found["success_rate"]) == (4, 2, 0.75)
    assert found["round_trip_score"] == pytest.approx((2 - exp(-2) - exp(-1)) / 2, abs=1e-9)
    assert found["score"] == pytest.approx((1 - exp(-2) + 0.5 * (1 - exp(-1))) / 2, abs=1e-9)


def test_highest_score_ranks_first_and_equal_scores_share_a_rank(on_engine: Engine) -> None:
    scores = {"0xa": 0.5, "0xd": 0.9, "0xc": 0.5, "0xb": 0.1}
    found = ranks(on_engine, [{"orchestrator": name, "success_rate": rate} for name, rate in scores.items()])
    assert [(name, row["rank"]) for name, row in found.items()] == [("0xd", 1), ("0xa", 2), ("0xc", 2), ("0xb", 4)]


def test_orchestrator_filter_keeps_the_rank_among_all(on_engine: Engine) -> None:
    rows = [{"orchestrator": "0xa", "success_rate": 0.5}, {"orchestrator": "0xb"}]
    assert {name: row["rank"] for name, row in ranks(on_engine, rows, EventFilter(orchestrator="0xa")).items()} == {
        "0xa": 2
    }


def test_min_events_leaves_out_orchestrators_with_fewer(on_engine: Engine) -> None:
    rows = [{"orchestrator": "0xa"}, *[{"orchestrator": "0xb", "success_rate": 0.5}] * 2]
    assert {name: row["rank"] for name, row in ranks(on_engine, rows, min_events=2).items()} == {"0xb": 1}


def test_successes_are_counted_and_timed(on_engine: Engine) -> None:
    rows = [
        *[{"round_trip_time": seconds} for seconds in (1.0, 2.0, 3.0)],
        {"round_trip_time": 0.0, "event_time": datetime(2026, 9, 2, tzinfo=UTC)},
        {"round_trip_time": 90.0, "success_rate": 0.99},
        {"round_trip_time": 90.0, "success_rate": 2.0},
    ]
    found = ranks(on_engine, rows)["0xa"]
    assert (found["events"], found["succeeded"], found["failed"]) == (6, 5, 1)
    assert (found["p50_round_trip_time"], found["p95_round_trip_time"]) == pytest.approx((2.0, 2.9), abs=1e-9)
    assert found["last_seen"] == datetime(2026, 9, 2, tzinfo=UTC)


def test_percentiles_are_null_without_a_success(on_engine: Engine) -> None:
    found = ranks(on_engine, [{"success_rate": 0.0}])["0xa"]
    assert (found["p50_round_trip_time"], found["p95_round_trip_time"], found["score"]) == (None, None, 0.0)


@pytest.mark.parametrize(
    ("succeeded", "failed", "low", "high"),
    [
        # the two π with (p − π)² = z²·π·(1 − π)/n
        (8, 2, 0.4901624715366498, 0.9433178485456247),
        (0, 10, 0.0, 0.2775327998628892),
        (10, 0, 0.7224672001371107, 1.0),
        (1, 0, 0.2065493143772375, 1.0),
    ],
)
def test_success_interval_is_wilsons(on_engine: Engine, succeeded: int, failed: int, low: float, high: float) -> None:
    found = ranks(on_engine, [{}] * succeeded + [{"success_rate": 0.6}] * failed)["0xa"]
    assert (found["success_ci_low"], found["success_ci_high"]) == pytest.approx((low, high), abs=1e-9)


def test_models_use_their_own_medians_and_are_weighted_by_events(on_engine: Engine) -> None:
    rows = [
        *[ai(model="fast", round_trip_time=1.0)] * 3,
        ai(model="slow", round_trip_time=20.0),
        ai(model="slow", round_trip_time=10.0, orchestrator="0xb"),
        ai(model="slow", round_trip_time=10.0, orchestrator="0xb"),
    ]
    found = ranks(on_engine, rows, EventFilter(job_type=AI, pipeline="LLM"))
    # three of the median of 1, one of twice the median of 10
    speed = (3 * 0.8 + 0.8**2) / 4
    assert found["0xa"]["round_trip_score"] == pytest.approx(speed, abs=1e-9)
    assert found["0xa"]["score"] == pytest.approx(0.65 + 0.35 * speed, abs=1e-9)
    assert found["0xb"]["score"] == pytest.approx(0.93, abs=1e-9)


def test_region_counts_once_whatever_its_number_of_models(on_engine: Engine) -> None:
    rows = [
        ai(success_rate=1.0),
        ai(success_rate=0.0, model="n"),
        ai(success_rate=0.2, region="LON"),
        ai(success_rate=0.2, region="LON", pipeline="other"),
    ]
    found = ranks(on_engine, rows, EventFilter(job_type=AI))["0xa"]
    assert (found["regions"], found["events"]) == (2, 4)
    assert found["success_rate"] == pytest.approx((0.5 + 0.2) / 2, abs=1e-9)


def test_ai_jobs_without_a_model_are_left_out(on_engine: Engine) -> None:
    rows = [ai(), ai(model=None, success_rate=0.0), ai(orchestrator="0xb", model=None)]
    found = ranks(on_engine, rows, EventFilter(job_type=AI))
    assert {name: row["events"] for name, row in found.items()} == {"0xa": 1}
