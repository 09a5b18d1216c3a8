"""Warm models and cold ones side by side, against values worked out by hand."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from queries import AI, FORMULA_1, EventFilter, orchestrator_jobs, ranking
from queries.scoring.warm_and_cold import WARM_COLUMNS
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
JOB = {"job_type": AI, "pipeline": "llm", "model": "m", "seg_duration": 0.0}
LIVE = JOB | {"pipeline": "live-video-to-video", "outcome": "passed", "round_trip_time": 0.75}
WARM, COLD = {"warm": True}, {"warm": False}
ROWS = [
    *(JOB | WARM | {"round_trip_time": seconds} for seconds in (1.0, 3.0)),
    # a failed job has a time, which does not count; a rate above 1 counts as 1
    JOB | WARM | {"success_rate": 0.0, "round_trip_time": 60.0},
    JOB | WARM | {"success_rate": 1.5, "round_trip_time": 60.0, "region": "MDW"},
    JOB | COLD | {"round_trip_time": 10.0},
    JOB | {"round_trip_time": 20.0},
]


def rank_rows(engine: Engine, rows: list[dict[str, Any]], query: EventFilter, **options: Any) -> list[dict[str, Any]]:
    return to_polars(ranking(engine(make_events(rows)), query, **options)).to_dicts()


def split(row: dict[str, Any]) -> list[float | None]:
    return [row[name] for name in WARM_COLUMNS]


def test_ranking_tells_warm_from_cold(on_engine: Engine) -> None:
    (row,) = rank_rows(on_engine, ROWS, EventFilter(AI))
    assert (row["events"], row["p50_round_trip_time"]) == (6, pytest.approx(6.5, abs=1e-9))
    # p95 of 1 and 3: 1 + 0.95 · 2
    assert split(row) == pytest.approx([4, 0.75, 2.0, 2.9, 1, 1.0, 10.0, 10.0], abs=1e-9)


def test_each_job_of_an_orchestrator_tells_warm_from_cold(on_engine: Engine) -> None:
    events = on_engine(make_events([*ROWS, JOB | COLD | {"orchestrator": "0xb"}]))
    fra, mdw = to_polars(orchestrator_jobs(events, EventFilter(orchestrator="0xa"))).to_dicts()
    assert split(fra) == pytest.approx([3, 2 / 3, 2.0, 2.9, 1, 1.0, 10.0, 10.0], abs=1e-9)
    assert split(mdw) == [1, 1.0, None, None, 0, None, None, None]
    assert (fra["p50_round_trip_time"], fra["p95_round_trip_time"]) == pytest.approx((6.5, 18.5), abs=1e-9)


def test_orchestrator_without_either_has_no_events_of_them(on_engine: Engine) -> None:
    (row,) = rank_rows(on_engine, [JOB], EventFilter(AI))
    assert split(row) == [0, None, None, None, 0, None, None, None]


def test_transcoding_has_no_models(on_engine: Engine) -> None:
    (row,) = rank_rows(on_engine, [WARM, COLD], EventFilter())
    assert split(row) == [None] * len(WARM_COLUMNS)


def test_live_video_counts_without_a_time(on_engine: Engine) -> None:
    unscored = LIVE | COLD | {"outcome": "unscored_busy"}
    (row,) = rank_rows(on_engine, [LIVE | WARM, unscored], EventFilter(AI))
    assert split(row) == [1, 1.0, None, None, 0, None, None, None]
    (before,) = rank_rows(on_engine, [LIVE | WARM], EventFilter(AI), formula=FORMULA_1)
    assert split(before)[2] == pytest.approx(0.75, abs=1e-9)


def test_filter_by_warm_leaves_the_other_side_empty(on_engine: Engine) -> None:
    (row,) = rank_rows(on_engine, ROWS, EventFilter(AI, warm=False))
    assert (row["events"], *split(row)) == (1, 0, None, None, None, 1, 1.0, 10.0, 10.0)
