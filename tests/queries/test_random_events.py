"""Each question gives the same on every engine, over random events and filters.

The tests try a small fixed set. A large random one:
``python -m pytest tests/queries/test_random_events.py --hypothesis-profile=thorough``
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from queries import (
    AI,
    FORMULA_1,
    FORMULA_2,
    TRANSCODING,
    EventFilter,
    Formula,
    aggregated_stats,
    job_measures,
    network_stats,
    orchestrator_jobs,
    pipelines,
    posting_stats,
    ranking,
    score_history,
    top_ai_score,
)
from queries.schema import ERROR_KINDS
from tests.queries.conftest import ENGINES, make_events, to_polars

START = datetime(2026, 9, 1, tzinfo=UTC)
ORCHESTRATORS = ("0xa", "0xb", "0xC ß")
REGIONS = ("FRA", "MDW")
PIPELINES = (
    None,
    "LLM",
    "llm",
    "Text to image",
    "text-to_image",
    "live-video-to-video",
    "Live video to video",
    "é世界",
)
MODELS = (None, "m", 'n\n"x"')
OUTCOMES = (None, "passed", "failed", "unscored_busy", "unscored_indeterminate", "unscored", "odd")

# few values, so that there are ties
RATES = st.sampled_from([0.0, 0.5, 1.0, 1.0, 1.5])
SECONDS = st.sampled_from([0.0, 0.3, 0.9, 1.0, 1.5, 3.0, 41.7, 1e12])

EVENTS = st.lists(
    st.fixed_dictionaries({
        "event_time": st.integers(0, 5 * 24).map(lambda hours: START + timedelta(hours=hours)),
        "orchestrator": st.sampled_from(ORCHESTRATORS),
        "region": st.sampled_from(REGIONS),
        "job_type": st.sampled_from((AI, AI, TRANSCODING)),
        "pipeline": st.sampled_from(PIPELINES),
        "model": st.sampled_from(MODELS),
        "success_rate": RATES,
        "round_trip_time": SECONDS,
        "seg_duration": st.sampled_from([0.0, 2.0, 2.0]),
        "outcome": st.sampled_from(OUTCOMES),
        "error_kind": st.sampled_from(ERROR_KINDS),
        "warm": st.sampled_from([None, True, False]),
        "service_uri": st.sampled_from([None, "https://a.example:8935", "https://b.example:8935"]),
    }),
    max_size=40,
)  # fmt: skip
FILTERS = st.builds(
    EventFilter,
    job_type=st.sampled_from((AI, TRANSCODING)),
    orchestrator=st.sampled_from((None, *ORCHESTRATORS)),
    region=st.sampled_from((None, *REGIONS, "NOWHERE")),
    pipeline=st.sampled_from((None, "LLM", "text to image", "live_video-to-video")),
    model=st.sampled_from((None, "m")),
    warm=st.sampled_from([None, True, False]),
)
FORMULAS = st.builds(
    replace,
    st.sampled_from((FORMULA_1, FORMULA_2)),
    ignores_busy=st.booleans(),
    half_life=st.sampled_from([None, None, timedelta(hours=7)]),
    min_events=st.sampled_from([1, 1, 3]),
)
QUESTIONS: dict[str, Callable[..., Any]] = {
    "aggregated_stats": aggregated_stats,
    "job_measures": job_measures,
    "network_stats": network_stats,
    "ranking": ranking,
    "score_history": score_history,
    "score_history, the network by 7 days": partial(score_history, interval="7d", group_columns=["region"]),
    "orchestrator_jobs": orchestrator_jobs,
    "top_ai_score": top_ai_score,
}


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The rows as events. Transcoding names no pipeline and no model."""
    no_job = {"pipeline": None, "model": None}
    jobs = [row | (no_job if row["job_type"] == TRANSCODING else {}) for row in rows]
    return make_events([{"id": number} | row for number, row in enumerate(jobs)])


def assert_same_on_all_engines(question: Callable[[Any], Any], events: pl.DataFrame) -> None:
    first, *others = (to_polars(question(convert(events))) for convert in ENGINES.values())
    for other in others:
        assert_frame_equal(first, other, rel_tol=1e-9, abs_tol=1e-9, check_dtypes=True)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@given(rows=EVENTS, event_filter=FILTERS, formula=FORMULAS)
def test_scores_are_the_same_on_every_engine(
    question: Callable[..., Any], rows: list[dict[str, Any]], event_filter: EventFilter, formula: Formula
) -> None:
    assert_same_on_all_engines(lambda events: question(events, event_filter, formula=formula), frame_of(rows))


@given(rows=EVENTS, event_filter=FILTERS)
def test_pipelines_are_the_same_on_every_engine(rows: list[dict[str, Any]], event_filter: EventFilter) -> None:
    assert_same_on_all_engines(lambda events: pipelines(events, event_filter), frame_of(rows))


@given(rows=EVENTS)
def test_pauses_of_testers_are_the_same_on_every_engine(rows: list[dict[str, Any]]) -> None:
    assert_same_on_all_engines(posting_stats, frame_of(rows))
