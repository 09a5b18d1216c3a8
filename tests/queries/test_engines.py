"""Each question gives the same numbers on every engine."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import (
    AI,
    EventFilter,
    aggregated_stats,
    discovery,
    gateway_preview,
    orchestrator_jobs,
    pipelines,
    ranking,
    raw_stats,
    score_history,
    service_uris,
    top_ai_score,
)
from tests.queries.conftest import make_events, recorded_events, to_polars

NODE = pl.format("https://node-{}.example.org:8935", pl.col("id") % 7)
EVENTS = recorded_events().with_columns(
    # the recorded results name no nodes; some have a warm model, some a cold one, and some do not tell
    service_uri=pl.when(pl.col("id") % 5 > 0).then(NODE),
    warm=pl.when(pl.col("id") % 4 > 0).then(pl.col("id") % 3 > 0),
)
LAST_DAY = EVENTS["event_time"].max() - timedelta(days=1)
ORCHESTRATOR = "0x023c39c200661fccd268a29a0d347301ef56e64d"
OTHER = "0x1ead8f062d15a4f4ef27e9589c6948f6d30c01c3"
AI_JOB = {"job_type": AI, "pipeline": "Text to image", "model": "ByteDance/SDXL-Lightning"}

QUESTIONS = {
    "aggregated_stats, transcoding": (aggregated_stats, EventFilter()),
    "aggregated_stats, transcoding, one region": (aggregated_stats, EventFilter(region="FRA")),
    "aggregated_stats, transcoding, one orchestrator": (aggregated_stats, EventFilter(orchestrator=ORCHESTRATOR)),
    "aggregated_stats, AI": (aggregated_stats, EventFilter(**AI_JOB)),
    "aggregated_stats, AI, one region and orchestrator": (
        aggregated_stats,
        EventFilter(**AI_JOB, region="MDW", orchestrator=ORCHESTRATOR),
    ),
    "aggregated_stats, nothing there": (aggregated_stats, EventFilter(region="NOWHERE")),
    "top_ai_score": (top_ai_score, EventFilter(orchestrator=ORCHESTRATOR)),
    "top_ai_score, nobody": (top_ai_score, EventFilter(orchestrator="0xnobody")),
    "pipelines": (pipelines, EventFilter(job_type=AI)),
    "pipelines, one region": (pipelines, EventFilter(job_type=AI, region="LAX")),
    "score_history, transcoding": (score_history, EventFilter()),
    "score_history, transcoding, one orchestrator and region": (
        score_history,
        EventFilter(orchestrator=ORCHESTRATOR, region="FRA"),
    ),
    "score_history, AI": (score_history, EventFilter(job_type=AI)),
    "score_history, AI, one job and orchestrator": (score_history, EventFilter(**AI_JOB, orchestrator=ORCHESTRATOR)),
    "score_history, the network by 6 hours": (
        partial(score_history, interval="6h", group_columns=["region"]),
        EventFilter(),
    ),
    "score_history, AI, the network by 7 days": (
        partial(score_history, interval="7d", group_columns=[]),
        EventFilter(job_type=AI),
    ),
    "score_history, by the hour, several orchestrators": (
        partial(score_history, interval="1h", orchestrators=[ORCHESTRATOR, OTHER]),
        EventFilter(**AI_JOB),
    ),
    "leaderboard, transcoding": (ranking, EventFilter()),
    "leaderboard, transcoding, one region": (partial(ranking, min_events=8), EventFilter(region="FRA")),
    "leaderboard, AI, one job": (ranking, EventFilter(**AI_JOB)),
    "leaderboard, AI, one pipeline": (ranking, EventFilter(job_type=AI, pipeline=AI_JOB["pipeline"])),
    "leaderboard, AI, one orchestrator": (ranking, EventFilter(job_type=AI, orchestrator=ORCHESTRATOR)),
    "orchestrator_jobs": (orchestrator_jobs, EventFilter(orchestrator=ORCHESTRATOR)),
    "orchestrator_jobs, nobody": (orchestrator_jobs, EventFilter(orchestrator="0xnobody")),
    "service_uris": (service_uris, EventFilter(orchestrator=ORCHESTRATOR)),
    "discovery, transcoding": (discovery, EventFilter()),
    "discovery, AI": (partial(discovery, min_score=0.3, min_events=2), EventFilter(job_type=AI)),
    "gateway_preview, transcoding": (
        partial(gateway_preview, since=LAST_DAY, min_score=0.7),
        EventFilter(region="FRA"),
    ),
    "gateway_preview, AI": (
        partial(gateway_preview, since=LAST_DAY, min_score=0.7),
        EventFilter(**AI_JOB, region="MDW"),
    ),
    "raw_stats, transcoding": (raw_stats, EventFilter(orchestrator=ORCHESTRATOR)),
    "raw_stats, AI": (raw_stats, EventFilter(**AI_JOB, orchestrator=ORCHESTRATOR, region="FRA")),
}


@pytest.mark.parametrize(("question", "query"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_engines_agree(
    on_engine: Callable[[pl.DataFrame], Any], question: Callable[..., Any], query: EventFilter
) -> None:
    expected = to_polars(question(EVENTS, query))
    answer = to_polars(question(on_engine(EVENTS), query))
    assert_frame_equal(answer, expected, rel_tol=1e-9, abs_tol=1e-9, check_dtypes=True)


@pytest.mark.parametrize(("question", "query"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_empty_frame_returns_no_rows(
    on_engine: Callable[[pl.DataFrame], Any], question: Callable[..., Any], query: EventFilter
) -> None:
    none = make_events([]).with_columns(payload=pl.lit(None, pl.String))
    assert to_polars(question(on_engine(none), query)).is_empty()


@pytest.mark.parametrize("name", [name for name in QUESTIONS if "nothing" not in name and "nobody" not in name])
def test_every_query_function_returns_rows_for_the_recorded_events(name: str) -> None:
    question, query = QUESTIONS[name]
    assert not to_polars(question(EVENTS, query)).is_empty()
