"""The nodes of an orchestrator, against values worked out by hand."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from queries import AI, FORMULA_1, EventFilter, service_uris
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
FIRST, SECOND = "https://one.example.org:8935", "https://two.example.org:8935"
JOB = {"job_type": AI, "pipeline": "llm", "model": "m", "seg_duration": 0.0}
OWN = EventFilter(orchestrator="0xa")


def nodes(engine: Engine, rows: list[dict[str, Any]], query: EventFilter = OWN, **options: Any) -> list[dict[str, Any]]:
    return to_polars(service_uris(engine(make_events(rows)), query, **options)).to_dicts()


def test_each_node_is_scored_against_the_network(on_engine: Engine) -> None:
    later = datetime(2026, 9, 2, tzinfo=UTC)
    rows = [
        JOB | {"service_uri": FIRST, "round_trip_time": 2.0},
        JOB | {"service_uri": FIRST, "round_trip_time": 6.0, "success_rate": 0.0, "event_time": later},
        JOB | {"service_uri": SECOND, "round_trip_time": 4.0},
        # neither names a node of this orchestrator; both are part of the median, which is 4
        JOB | {"round_trip_time": 8.0},
        JOB | {"orchestrator": "0xb", "service_uri": SECOND, "round_trip_time": 4.0},
    ]
    first, second = nodes(on_engine, rows)
    assert (first["service_uri"], second["service_uri"]) == (FIRST, SECOND)
    counts = ("events", "succeeded", "failed", "unscored")
    assert [first[name] for name in counts] == [2, 1, 1, 0]
    assert [second[name] for name in counts] == [1, 1, 0, 0]
    # the mean time of the first node is the median, too
    assert (first["success_rate"], first["round_trip_score"]) == pytest.approx((0.5, 0.8), abs=1e-9)
    assert first["score"] == pytest.approx(0.65 * 0.5 + 0.35 * 0.8, abs=1e-9)
    times = [first[name] for name in ("round_trip_time", "p50_round_trip_time", "p95_round_trip_time")]
    assert (times, first["last_seen"]) == ([4.0, 2.0, 2.0], later)
    assert len(nodes(on_engine, rows, EventFilter())) == 3


def test_jobs_and_regions_of_a_node_have_rows_of_their_own(on_engine: Engine) -> None:
    node = {"service_uri": FIRST}
    rows = [JOB | node | {"region": "SEA"}, JOB | node, JOB | node | {"model": "n"}, node]
    found = nodes(on_engine, rows)
    assert [tuple(row[name] for name in ("job_type", "region", "pipeline", "model")) for row in found] == [
        ("ai", "FRA", "llm", "m"),
        ("ai", "FRA", "llm", "n"),
        ("ai", "SEA", "llm", "m"),
        ("transcoding", "FRA", None, None),
    ]
    assert [row["model"] for row in nodes(on_engine, rows, EventFilter(region="FRA", pipeline="LLM"))] == ["m", "n"]


def test_node_that_was_only_unscored_has_a_row_without_a_score(on_engine: Engine) -> None:
    live = JOB | {"pipeline": "live-video-to-video", "service_uri": FIRST, "success_rate": 0.0, "round_trip_time": 0.0}
    rows = [live | {"outcome": "unscored_busy"}]
    (row,) = nodes(on_engine, rows)
    assert (row["events"], row["unscored"], row["score"], row["round_trip_time"]) == (0, 1, None, None)
    (before,) = nodes(on_engine, rows, formula=FORMULA_1)
    assert (before["events"], before["failed"], before["score"]) == (1, 1, 0.0)


def test_results_that_name_no_node_have_no_rows(on_engine: Engine) -> None:
    assert nodes(on_engine, [JOB, {}]) == []
