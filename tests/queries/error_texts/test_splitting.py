"""The errors of a result as a list of JSON objects."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queries.error_texts import split_errors
from queries.error_texts.splitting import MAX_DEPTH

# Polars reads larger integers as floats
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
ERRORS = st.dictionaries(st.text(), PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(), PLAIN))


def split(*payloads: str) -> list[list[Any] | None]:
    errors = pl.DataFrame({"payload": payloads}).select(split_errors(pl.col("payload"))).to_series()
    return [None if found is None else [json.loads(error) for error in found] for found in errors.to_list()]


def nested(depth: int) -> dict[str, Any]:
    error: dict[str, Any] = {"error_code": "E"}
    for _ in range(depth - 1):
        error = {"error_code": "E", "cause": error}
    return error


@settings(deadline=None)
@given(st.lists(ERRORS | PLAIN))
def test_objects_come_back_in_their_order(errors: list[Any]) -> None:
    assert split(json.dumps({"errors": errors})) == [[error for error in errors if isinstance(error, dict)]]


@pytest.mark.parametrize(
    "payload", ["{}", "[1]", "no JSON {}", '{"errors": null}', '{"errors": {}}', '{"errors": "none {}"}']
)
def test_a_result_without_a_list_of_errors_has_none(payload: str) -> None:
    assert split(payload) == [None]


def test_objects_in_an_error_are_no_errors() -> None:
    assert split(json.dumps({"errors": [nested(MAX_DEPTH), {}]})) == [[nested(MAX_DEPTH), {}]]


def test_a_too_deep_error_is_one_error() -> None:
    payload = json.dumps({"errors": [{"a": 1}, nested(MAX_DEPTH + 1), {"b": 1}]})
    errors = pl.select(split_errors(pl.lit(payload))).item().to_list()
    assert (errors[0], len(errors)) == ('{"a":1}', 2)
