"""The errors of one orchestrator, by class and code."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import (
    ERROR_CLASSES,
    EventFilter,
    orchestrator_error_classes,
    orchestrator_error_tables,
    orchestrator_errors,
)
from tests.queries.conftest import make_events, to_polars

OWN = EventFilter(orchestrator="0xa")
BUSY = '{"error":{"message":"insufficient capacity"}}'


def results(errors: list[list[dict[str, Any]]], **columns: Any) -> pl.DataFrame:
    """One result per list of errors, one day apart."""
    return make_events(
        [
            {"id": day, "event_time": datetime(2026, 9, day, tzinfo=UTC), "payload": json.dumps({"errors": list_})}
            | columns
            for day, list_ in enumerate(errors, 1)
        ]
    )


def refused(port: int) -> dict[str, Any]:
    return {"error_code": f"dial tcp 192.0.2.1:{port}: connect: connection refused", "message": "", "count": 1}


def test_the_same_error_with_other_ports_is_one() -> None:
    found = orchestrator_errors(results([[refused(1), refused(2)], [refused(3)]]), OWN)
    assert found.select("class", "error_code", "message", "results", "count", "share").rows() == [
        ("refused", "dial tcp …: connect: connection refused", None, 2, 3, 1.0)
    ]


def test_a_code_has_a_row_per_class() -> None:
    errors = [[{"error_code": "503", "message": text, "count": 2}] for text in (BUSY, "Service Unavailable", BUSY)]
    found = orchestrator_errors(results(errors), OWN)
    assert found.select("class", "error_code", "message", "count").rows() == [
        ("busy", "503", "insufficient capacity", 4),
        ("http_5xx", "503", "Service Unavailable", 2),
    ]


def test_message_is_the_most_frequent() -> None:
    messages = ["b", None, "c", "c", "", "a", "a"]
    errors = [[{"error_code": "E", "message": message}] for message in messages]
    assert orchestrator_errors(results(errors), OWN)["message"].to_list() == ["a"]


@pytest.mark.parametrize("lazy", [True, False])
def test_classes_are_over_all_jobs(lazy: bool) -> None:
    events = pl.concat(
        [
            results([[refused(1), {"error_code": "EOF", "count": 4}], [refused(2)]], region="LON"),
            results([[{"error_code": "Timeout", "count": 2}]], region="FRA").with_columns(id=pl.lit(9, pl.Int64)),
            results([[{"error_code": "Timeout"}]], orchestrator="0xb"),
        ]
    )
    found = to_polars(orchestrator_error_classes(events.lazy() if lazy else events, OWN))
    assert found.drop("what_to_do", "last_seen").rows() == [
        ("refused", 2, 6, 0.75, ["EOF", "dial tcp …: connect: connection refused"]),
        ("timeout", 1, 2, 0.25, ["Timeout"]),
    ]
    assert found["last_seen"].dt.day().to_list() == [2, 1]
    sentences = {known.name: known.what_to_do for known in ERROR_CLASSES}
    assert found["what_to_do"].to_list() == [sentences["refused"], sentences["timeout"]]


def test_results_without_errors_have_no_class() -> None:
    assert orchestrator_error_classes(results([[], []]), OWN).is_empty()
    assert orchestrator_error_classes(results([]).with_columns(payload=pl.lit("{}")), OWN).is_empty()


def test_both_tables_are_those_of_the_two_functions() -> None:
    found = results([[refused(1), {"error_code": "Timeout", "message": "m", "count": 4}], [refused(2)], []])
    tables = orchestrator_error_tables(found, OWN)
    assert [table.height for table in tables] == [2, 2]
    assert_frame_equal(tables[0], orchestrator_errors(found, OWN))
    assert_frame_equal(tables[1], orchestrator_error_classes(found, OWN))
