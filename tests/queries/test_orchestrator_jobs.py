"""One orchestrator at a glance, against values worked out by hand."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from queries import AI, TRANSCODING, EventFilter, orchestrator_errors, orchestrator_jobs
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
OWN = EventFilter(orchestrator="0xa")
AI_JOB = {"job_type": AI, "pipeline": "LLM", "model": "m"}


def jobs(engine: Engine, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return to_polars(orchestrator_jobs(engine(make_events(rows)), OWN)).to_dicts()


def errors(payloads: list[Any], lazy: bool = True, **columns: Any) -> list[tuple[Any, ...]]:
    """error_code, results, count, share of the results of 0xa with these payloads."""
    rows = [
        {"id": number, "payload": payload if isinstance(payload, str) else json.dumps(payload)} | columns
        for number, payload in enumerate(payloads)
    ]
    events = make_events(rows)
    answer = to_polars(orchestrator_errors(events.lazy() if lazy else events, OWN))
    return answer.select("error_code", "results", "count", "share").rows()


def test_only_pipelines_of_the_orchestrator_and_the_chosen_job_types_count(on_engine: Engine) -> None:
    # 0xb has the pipeline of 0xa in a newer spelling, and another one
    newer, older = datetime(2026, 9, 2, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    others = [AI_JOB | {"pipeline": "llm", "model": "n"}, AI_JOB | {"pipeline": "Upscale"}, {}]
    rows = [AI_JOB | {"event_time": older}, {}, *({"orchestrator": "0xb", "event_time": newer} | row for row in others)]
    events = make_events(rows)
    every_job = orchestrator_jobs(events, OWN)
    assert every_job.select("job_type", "pipeline", "model", "ranked_count").rows() == [
        ("ai", "llm", "m", 1),
        ("transcoding", None, None, 2),
    ]
    for job_type in (AI, TRANSCODING):
        chosen = to_polars(orchestrator_jobs(on_engine(events), OWN, job_types=(job_type,)))
        assert chosen.rows() == every_job.filter(pl.col("job_type") == job_type).rows()


def test_each_job_and_region_has_its_row(on_engine: Engine) -> None:
    rows = [{}, {"region": "LON"}, AI_JOB, AI_JOB | {"model": "n"}, {"orchestrator": "0xb", "region": "NYC"}]
    found = jobs(on_engine, rows)
    assert [(row["job_type"], row["region"], row["pipeline"], row["model"]) for row in found] == [
        ("ai", "FRA", "LLM", "m"),
        ("ai", "FRA", "LLM", "n"),
        ("transcoding", "FRA", None, None),
        ("transcoding", "LON", None, None),
    ]
    assert {row["orchestrator"] for row in found} == {"0xa"}


def test_rank_is_among_orchestrators_with_the_same_job_and_region(on_engine: Engine) -> None:
    rows = [
        {"success_rate": 0.5},
        {"orchestrator": "0xb", "success_rate": 0.9},
        {"orchestrator": "0xc", "success_rate": 0.5},
        {"orchestrator": "0xd", "success_rate": 0.1},
        {"orchestrator": "0xe", "region": "LON"},
        AI_JOB,
    ]
    assert [(row["rank"], row["ranked_count"]) for row in jobs(on_engine, rows)] == [(1, 1), (2, 4)]


def test_ai_median_is_over_all_regions(on_engine: Engine) -> None:
    rows = [
        AI_JOB | {"round_trip_time": 2.0},
        AI_JOB | {"round_trip_time": 4.0, "region": "LON", "orchestrator": "0xb"},
    ]
    (found,) = jobs(on_engine, rows)
    assert (found["round_trip_time"], found["median_round_trip_time"]) == (2.0, 3.0)
    assert found["score"] == pytest.approx(0.65 + 0.35 * 0.8 ** (2 / 3), abs=1e-9)


def test_last_success_and_last_failure(on_engine: Engine) -> None:
    first, second, third = (datetime(2026, 9, day, tzinfo=UTC) for day in (1, 2, 3))
    rows = [
        {"event_time": first, "success_rate": 0.5},
        {"event_time": second, "success_rate": 3.0},
        {"event_time": third, "orchestrator": "0xb"},
        {"event_time": third, "region": "LON"},
    ]
    fra, lon = jobs(on_engine, rows)
    assert (fra["succeeded"], fra["failed"], fra["last_success"], fra["last_failure"]) == (1, 1, second, first)
    assert (lon["succeeded"], lon["failed"], lon["last_success"], lon["last_failure"]) == (1, 0, third, None)


@pytest.mark.parametrize("lazy", [True, False])
def test_errors_are_counted_by_code(lazy: bool) -> None:
    payloads = [
        {"errors": [{"error_code": "NoSession", "message": "a", "count": 2}, {"error_code": "Timeout", "count": 1}]},
        {"errors": [{"error_code": "NoSession", "count": 1}]},
        {"errors": []},
    ]
    assert errors(payloads, lazy) == [("NoSession", 2, 3, 0.75), ("Timeout", 1, 1, 0.25)]


def test_error_shares_add_up_within_a_job_and_region() -> None:
    payload = json.dumps({"errors": [{"error_code": "E", "count": 3}]})
    rows = [{"payload": payload}, {"payload": payload, "region": "LON"}, {"payload": payload} | AI_JOB]
    found = orchestrator_errors(make_events(rows), OWN)
    assert found["share"].to_list() == [1.0] * 3
    assert found["job_type"].to_list() == ["ai", "transcoding", "transcoding"]


def test_braces_and_quotes_in_an_error_message_are_text() -> None:
    message = 'got {"error_code": "no}", [\\" {{'
    assert errors([{"errors": [{"message": message, "error_code": 'a"b}', "count": 1}]}]) == [('a"b}', 1, 1, 1.0)]


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"errors": None}, []),
        ({}, []),
        ("[1]", []),
        ({"errors": "x"}, []),
        ({"errors": [1, None, "x"]}, []),
        ({"errors": [{"count": 4}]}, [("", 1, 4, 1.0)]),
        ({"errors": [{"error_code": "E", "count": 0}]}, [("E", 1, 1, 1.0)]),
        ({"errors": [{"error_code": "E", "count": "many"}]}, [("E", 1, 1, 1.0)]),
        ({"errors": [{"error_code": "E", "count": 2.0, "more": {"a": "}"}}]}, [("E", 1, 2, 1.0)]),
        ({"errors": [{"error_code": "E", "count": 10**40}]}, [("E", 1, 10**9, 1.0)]),
    ],
)
def test_malformed_errors_are_skipped(payload: Any, found: list[tuple[Any, ...]]) -> None:
    assert errors([payload]) == found


def test_errors_of_other_orchestrators_do_not_count() -> None:
    assert errors([{"errors": [{"error_code": "E"}]}], orchestrator="0xb") == []
