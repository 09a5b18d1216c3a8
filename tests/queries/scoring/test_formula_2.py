"""What formula 2 counts, leaves out and tells apart, against values worked out by hand."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp
from typing import Any

import polars as pl
import pytest

from queries import (
    AI,
    FORMULA_1,
    FORMULA_2,
    EventFilter,
    Formula,
    aggregated_stats,
    orchestrator_jobs,
    pipelines,
    ranking,
    score_history,
    top_ai_score,
)
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
JOB = {"job_type": AI, "pipeline": "text-to-image", "model": "m", "seg_duration": 0.0}
LIVE = JOB | {"pipeline": "live-video-to-video"}
PASSED = LIVE | {"outcome": "passed", "success_rate": 1.0}
UNSCORED = LIVE | {"outcome": "unscored_busy", "success_rate": 0.0, "round_trip_time": 0.0}
FAILED = LIVE | {"outcome": "failed", "success_rate": 0.0, "round_trip_time": 0.0, "error_kind": "other"}
BUSY = {"success_rate": 0.0, "round_trip_time": 0.0, "error_kind": "busy"}


def live_scores(
    engine: Engine, rows: list[dict[str, Any]], formula: Formula = FORMULA_2
) -> dict[str, tuple[float, ...]]:
    event_filter = EventFilter(AI, pipeline="live-video-to-video", model="m")
    found = to_polars(aggregated_stats(engine(make_events(rows)), event_filter, formula=formula))
    return {row[0]: row[2:] for row in found.iter_rows()}


def ranks(engine: Engine, rows: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    job_type = rows[0].get("job_type", "transcoding")
    return to_polars(ranking(engine(make_events(rows)), EventFilter(job_type), **options)).to_dicts()


def test_live_stream_is_scored_by_its_quality(on_engine: Engine) -> None:
    rows = [
        PASSED | {"orchestrator": "good", "round_trip_time": 0.9},
        PASSED | {"orchestrator": "bad", "round_trip_time": 0.3},
    ]
    found = live_scores(on_engine, rows)
    assert found["good"] == pytest.approx((1.0, 0.9, 0.65 + 0.35 * 0.9), abs=1e-9)
    assert found["bad"] == pytest.approx((1.0, 0.3, 0.65 + 0.35 * 0.3), abs=1e-9)
    # the predecessor takes the quality for seconds
    before = live_scores(on_engine, rows, FORMULA_1)
    assert before["bad"][2] > before["good"][2]


def test_failed_live_stream_has_quality_0(on_engine: Engine) -> None:
    rows = [PASSED | {"round_trip_time": 0.8}, FAILED]
    assert live_scores(on_engine, rows)["0xa"] == pytest.approx((0.5, 0.4, 0.65 * 0.5 + 0.35 * 0.4), abs=1e-9)


def test_live_seconds_count_for_success_and_not_for_quality(on_engine: Engine) -> None:
    seconds = PASSED | {"outcome": None, "round_trip_time": 38.4}
    assert live_scores(on_engine, [PASSED | {"round_trip_time": 0.8}, seconds])["0xa"][:2] == pytest.approx(
        (1.0, 0.8), abs=1e-9
    )
    assert live_scores(on_engine, [seconds])["0xa"] == pytest.approx((1.0, 0.0, 0.65), abs=1e-9)


def test_second_half_of_a_double_post_is_left_out(on_engine: Engine) -> None:
    double = PASSED | {"outcome": None, "round_trip_time": 41.7, "error_kind": "other"}
    row = ranks(on_engine, [FAILED | {"outcome": None}, double])[0]
    assert (row["events"], row["succeeded"], row["failed"], row["unscored"]) == (1, 0, 1, 0)


def test_unscored_results_are_counted_apart(on_engine: Engine) -> None:
    odd = UNSCORED | {"success_rate": 1.0, "round_trip_time": 7.0, "outcome": "unscored_indeterminate"}
    row = ranks(on_engine, [PASSED | {"round_trip_time": 0.8}, UNSCORED, odd])[0]
    assert (row["events"], row["succeeded"], row["failed"], row["unscored"]) == (1, 1, 0, 2)
    assert (row["success_rate"], row["round_trip_score"]) == pytest.approx((1.0, 0.8), abs=1e-9)
    assert ranks(on_engine, [UNSCORED], formula=FORMULA_1)[0]["failed"] == 1


def test_three_states_are_told_apart(on_engine: Engine) -> None:
    rows = [
        PASSED | {"orchestrator": "good", "round_trip_time": 0.5},
        FAILED | {"orchestrator": "failed"},
        UNSCORED | {"orchestrator": "unscored"},
    ]
    found = [(r["orchestrator"], r["rank"], r["score"], r["events"], r["unscored"]) for r in ranks(on_engine, rows)]
    assert found == [("good", 1, pytest.approx(0.825), 1, 0), ("failed", 2, 0.0, 1, 0), ("unscored", None, None, 0, 1)]
    assert "unscored" not in live_scores(on_engine, rows)
    jobs = to_polars(orchestrator_jobs(on_engine(make_events(rows)), EventFilter(orchestrator="unscored"))).to_dicts()
    assert [(j["rank"], j["ranked_count"], j["score"], j["events"], j["unscored"]) for j in jobs] == [
        (None, 2, None, 0, 1)
    ]
    assert to_polars(orchestrator_jobs(on_engine(make_events(rows)), EventFilter(orchestrator="nobody"))).is_empty()
    assert to_polars(top_ai_score(on_engine(make_events(rows)), EventFilter(orchestrator="unscored"))).is_empty()


def test_history_has_buckets_without_scored_events(on_engine: Engine) -> None:
    rows = to_polars(
        score_history(on_engine(make_events([UNSCORED, FAILED | {"region": "MDW"}])), EventFilter(AI))
    ).to_dicts()
    found = [(r["region"], r["events"], r["succeeded"], r["failed"], r["unscored"], r["score"]) for r in rows]
    assert found == [("FRA", 0, 0, 0, 1, None), ("MDW", 1, 0, 1, 0, 0.0)]


def test_busy_transcoding_failures_are_unscored_only_when_asked(on_engine: Engine) -> None:
    rows = [{"round_trip_time": 1.0}, BUSY, BUSY | {"error_kind": "other"}]
    assert ranks(on_engine, rows)[0]["failed"] == 2
    for formula in (FORMULA_1, FORMULA_2):
        row = ranks(on_engine, rows, formula=replace(formula, ignores_busy=True))[0]
        assert (row["events"], row["failed"], row["unscored"]) == (2, 1, 1)
        assert row["success_rate"] == pytest.approx(0.5, abs=1e-9)


def test_busy_ai_results_stay_failures(on_engine: Engine) -> None:
    row = ranks(on_engine, [JOB | BUSY], formula=replace(FORMULA_2, ignores_busy=True))[0]
    assert (row["failed"], row["unscored"]) == (1, 0)


def test_spellings_of_a_pipeline_are_one(on_engine: Engine) -> None:
    newer = datetime(2026, 9, 2, tzinfo=UTC)
    rows = [
        JOB | {"pipeline": "Text to image", "round_trip_time": 1.0},
        JOB | {"pipeline": "text-to-image", "round_trip_time": 3.0, "event_time": newer},
        JOB | {"pipeline": "TEXT_TO_IMAGE", "round_trip_time": 2.0},
    ]
    events = on_engine(make_events(rows))
    for spelling in ("Text to image", "text-to-image", "Text_To_Image"):
        event_filter = EventFilter(AI, pipeline=spelling, model="m")
        scores = to_polars(aggregated_stats(events, event_filter)).row(0)
        # the mean and the median are both 2
        assert scores[2:] == pytest.approx((1.0, 0.8, 0.93), abs=1e-9)
        assert set(to_polars(score_history(events, event_filter))["pipeline"]) == {spelling}
    assert to_polars(pipelines(events)).rows() == [("text-to-image", "m", "FRA")]
    assert to_polars(orchestrator_jobs(events, EventFilter(orchestrator="0xa")))["pipeline"].to_list() == [
        "text-to-image"
    ]
    assert to_polars(top_ai_score(events, EventFilter(orchestrator="0xa")))["pipeline"].to_list() == ["text-to-image"]
    first = to_polars(aggregated_stats(events, EventFilter(AI, pipeline="Text to image", model="m"), formula=FORMULA_1))
    assert first.row(0)[3] == pytest.approx(0.8, abs=1e-9)
    assert to_polars(score_history(events, EventFilter(AI), formula=FORMULA_1)).height == 3


def test_warm_selects_results_and_not_the_median(on_engine: Engine) -> None:
    rows = [
        JOB | {"warm": True, "round_trip_time": 1.0},
        JOB | {"warm": False, "round_trip_time": 3.0},
        JOB | {"round_trip_time": 2.0},
    ]
    events = on_engine(make_events(rows))
    for warm, seconds in ((True, 1.0), (False, 3.0)):
        event_filter = EventFilter(AI, pipeline="text-to-image", model="m", warm=warm)
        assert to_polars(aggregated_stats(events, event_filter)).row(0)[3] == pytest.approx(
            0.8 ** (seconds / 2), abs=1e-9
        )


def test_live_video_has_no_round_trip_time(on_engine: Engine) -> None:
    rows = [PASSED | {"round_trip_time": 0.8}, JOB | {"round_trip_time": 4.0}]
    assert ranks(on_engine, rows)[0]["p50_round_trip_time"] == pytest.approx(4.0)
    jobs = to_polars(orchestrator_jobs(on_engine(make_events(rows)), EventFilter(orchestrator="0xa"))).to_dicts()
    assert [(job["round_trip_time"], job["median_round_trip_time"]) for job in jobs] == [(None, None), (4.0, 4.0)]
    best = to_polars(top_ai_score(on_engine(make_events(rows)), EventFilter(orchestrator="0xa"))).row(0)
    # among jobs that succeed as often, those with a time come first
    assert best[2] == "text-to-image"


def test_frames_of_older_releases_are_scored(on_engine: Engine) -> None:
    old = make_events([JOB, {}]).select(list(make_events([]).columns)[:10])
    assert to_polars(ranking(on_engine(old), EventFilter(AI))).height == 1
    assert to_polars(pipelines(on_engine(old))).height == 1


def test_half_life_weighs_results(on_engine: Engine) -> None:
    rows = [
        {"round_trip_time": 1.0, "event_time": datetime(2026, 9, 1, tzinfo=UTC)},
        {"round_trip_time": 4.0, "event_time": datetime(2026, 9, 2, tzinfo=UTC)},
    ]
    formula = replace(FORMULA_2, name="half-life", half_life=timedelta(days=1))
    row = ranks(on_engine, rows, formula=formula)[0]
    # the older result counts half: t = (0.5 · 1 + 4) / 1.5 = 3
    assert row["round_trip_score"] == pytest.approx(1 - exp(-2 / 3), abs=1e-9)
    ages = [row | {"event_time": datetime(2026 - 20 * number, 9, 1, tzinfo=UTC)} for number, row in enumerate(rows)]
    short = replace(formula, half_life=timedelta(minutes=1))
    assert ranks(on_engine, ages, formula=short)[0]["round_trip_score"] == pytest.approx(1 - exp(-2), abs=1e-9)


def test_minimum_of_events_leaves_a_score_out(on_engine: Engine) -> None:
    rows = [{"orchestrator": "one"}, {"orchestrator": "two"}, {"orchestrator": "two"}]
    formula = replace(FORMULA_2, name="two", min_events=2)
    assert [(r["orchestrator"], r["rank"], r["events"]) for r in ranks(on_engine, rows, formula=formula)] == [
        ("two", 1, 2),
        ("one", None, 1),
    ]


def test_weights_are_values(on_engine: Engine) -> None:
    formula = replace(FORMULA_2, name="mine", success_weight=0.5, round_trip_weight=0.5, score_at_median=0.5)
    assert ranks(on_engine, [JOB], formula=formula)[0]["score"] == pytest.approx(0.75, abs=1e-9)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("success_weight", 1.5),
        ("round_trip_weight", -1),
        ("score_at_median", 1.0),
        ("half_life", timedelta()),
        ("min_events", 0),
    ],
)
def test_a_formula_that_makes_no_score_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        Formula(name="wrong", **{field: value})
