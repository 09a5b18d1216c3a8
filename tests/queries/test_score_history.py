"""History: each span is scored by itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import exp
from typing import Any

import polars as pl
import pytest

from queries import AI, EventFilter, aggregated_stats, score_history
from tests.queries.conftest import make_events, recorded_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
TRANSCODING_JOBS = EventFilter()
AI_JOB = {"job_type": AI, "pipeline": "LLM", "model": "m"}


def at(day: int, hour: int = 0, minute: int = 0) -> dict[str, datetime]:
    return {"event_time": datetime(2026, 9, day, hour, minute, tzinfo=UTC)}


def history(
    engine: Engine, rows: list[dict[str, Any]], query: EventFilter = TRANSCODING_JOBS, **options: Any
) -> list[dict[str, Any]]:
    return to_polars(score_history(engine(make_events(rows)), query, **options)).to_dicts()


@pytest.mark.parametrize(
    ("interval", "begins"),
    [
        ("1h", ["2026-09-04T05", "2026-09-09T23", "2026-09-10T00"]),
        ("6h", ["2026-09-04T00", "2026-09-09T18", "2026-09-10T00"]),
        ("1d", ["2026-09-04T00", "2026-09-09T00", "2026-09-10T00"]),
        # the third and the tenth are Thursdays
        ("7d", ["2026-09-03T00", "2026-09-10T00"]),
    ],
)
def test_buckets_are_cut_in_utc_and_empty_ones_are_omitted(on_engine: Engine, interval: str, begins: list[str]) -> None:
    rows = [at(4, 5, 30), at(9, 23, 59), at(10)]
    found = [row["bucket"] for row in history(on_engine, rows, interval=interval)]
    assert found == [datetime.fromisoformat(f"{begin}:00+00:00") for begin in begins]


def test_each_bucket_is_scored_by_its_own_events(on_engine: Engine) -> None:
    rows = [
        at(1, 1) | {"success_rate": 1.0, "round_trip_time": 1.0},
        at(1, 9) | {"success_rate": 0.5, "round_trip_time": 3.0},
        at(2) | {"success_rate": 4.0, "round_trip_time": 1.0},
    ]
    first, second = history(on_engine, rows)
    # s = 0.75, d = t = 2
    assert (first["events"], first["success_rate"]) == (2, 0.75)
    assert first["score"] == pytest.approx(0.75 * (1 - exp(-1)), abs=1e-9)
    assert (second["events"], second["success_rate"]) == (1, 1.0)
    assert second["round_trip_score"] == pytest.approx(1 - exp(-2), abs=1e-9)
    assert {row["median_round_trip_time"] for row in (first, second)} == {None}


def test_ai_median_is_that_of_the_bucket(on_engine: Engine) -> None:
    rows = [
        AI_JOB | at(1) | {"round_trip_time": 1.0},
        AI_JOB | at(1, 2) | {"orchestrator": "0xb", "round_trip_time": 3.0},
        AI_JOB | at(2) | {"round_trip_time": 7.0},
        AI_JOB | at(2) | {"round_trip_time": 100.0, "model": "other"},
    ]
    first, second = history(on_engine, rows, EventFilter(**AI_JOB, orchestrator="0xa"))
    assert (first["median_round_trip_time"], second["median_round_trip_time"]) == (2.0, 7.0)
    assert first["round_trip_score"] == pytest.approx(0.8**0.5, abs=1e-9)
    assert second["round_trip_score"] == pytest.approx(0.8, abs=1e-9)


def test_several_orchestrators_can_be_selected(on_engine: Engine) -> None:
    rows = [{"orchestrator": name} for name in ("0xa", "0xb", "0xc")]
    assert [row["orchestrator"] for row in history(on_engine, rows, orchestrators=["0xc", "0xa"])] == ["0xa", "0xc"]


def test_network_is_scored_as_one_orchestrator(on_engine: Engine) -> None:
    rows = [
        {"orchestrator": "0xa", "success_rate": 1.0, "round_trip_time": 1.0},
        {"orchestrator": "0xb", "success_rate": 0.5, "round_trip_time": 3.0},
        {"orchestrator": "0xb", "region": "LON", "success_rate": 0.0},
    ]
    fra, lon = history(on_engine, rows, group_columns=["region"])
    assert "orchestrator" not in fra
    assert (fra["region"], fra["events"], lon["region"], lon["score"]) == ("FRA", 2, "LON", 0.0)
    assert fra["score"] == pytest.approx(0.75 * (1 - exp(-1)), abs=1e-9)


def test_one_bucket_over_all_equals_aggregated_stats(on_engine: Engine) -> None:
    events = recorded_events()
    for query in (EventFilter(), EventFilter(job_type=AI, pipeline="Text to image", model="ByteDance/SDXL-Lightning")):
        year = to_polars(score_history(events, query, interval="1y"))
        expected = aggregated_stats(events, query)
        for field in ("success_rate", "round_trip_score", "score"):
            assert year[field].to_list() == pytest.approx(expected[field].to_list(), abs=1e-9)
