"""The fields of odd results, cut out by PostgreSQL, by Polars and by DuckDB."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from queries import PostgresEvents
from queries.schema import MAX_MEASURE, OPTIONAL_COLUMNS
from queries.sources.posted_fields import DUCKDB_COLUMNS, with_posted_fields
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import clone, load_events, rows

ADDRESS = "0x" + "ab" * 20
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def source(server: str, template: str) -> Iterator[tuple[str, PostgresEvents]]:
    url = clone(server, template, "posted_fields")
    with closing(PostgresEvents(url)) as postgres:
        yield url, postgres


def read_events(source: tuple[str, PostgresEvents], payloads: list[object]) -> pl.DataFrame:
    """The events of stored payloads as the database returns them."""
    url, postgres = source
    rows(url, "TRUNCATE events RESTART IDENTITY")
    load_events(url, [[NOON.timestamp(), ADDRESS, "FRA", "ai", payload] for payload in payloads])
    return postgres.window(MIN_TIME, MAX_TIME, payload=True).sort("id").collect()


def complete_in_polars(events: pl.DataFrame) -> pl.DataFrame:
    return with_posted_fields(events.drop(OPTIONAL_COLUMNS).lazy()).select(events.columns).collect()


def complete_in_duckdb(events: pl.DataFrame) -> pl.DataFrame:
    with duckdb.connect() as connection:
        older = connection.from_arrow(events.drop(OPTIONAL_COLUMNS).to_arrow())
        completed = older.select(f"*, {DUCKDB_COLUMNS}").select(*OPTIONAL_COLUMNS).to_arrow_table()
    return events.with_columns(pl.DataFrame(completed)).select(events.columns)


# JSONB has neither NUL nor halves of surrogate pairs
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
codes = st.sampled_from(["OrchestratorCapped", "OrchestratorBusy", "Timeout", "orchestratorbusy", "\u00e9", '"', "{"])
error_objects = st.fixed_dictionaries(
    {}, optional={"error_code": codes | scalars, "message": texts, "extra": st.just({"error_code": "Timeout"})}
)
errors = st.lists(error_objects | scalars | st.just(["OrchestratorBusy"]), max_size=3)
uris = st.sampled_from(["https://o.example:8935", r"https:\/\/o.example", "é", "a" * 256, "", r"a\\b", 'a"b'])
inputs = st.builds(
    lambda uri, space, prompt: f'{{"prompt": {json.dumps(prompt)}, "orchestrator"{space}:{space}"{uri}"}}',
    uris,
    st.sampled_from(["", " ", "\n\t", "\u2003", " " * 100]),
    texts | st.sampled_from(["orchestrator", '"orchestrator": "https://wrong.example"', "\u00e9" * 280]),
)
input_objects = st.fixed_dictionaries({"orchestrator": uris | scalars, "other": scalars})
outcomes = st.sampled_from(["passed", "unscored_busy", "Passed", "passed\n", " passed", "a" * 65, "true", "é"])
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
results = st.fixed_dictionaries(
    {},
    optional={
        "test_outcome": outcomes | nested,
        "errors": errors | nested | st.builds(json.dumps, errors),
        "model_is_warm": st.booleans() | st.sampled_from(["true", "false", "True"]) | nested,
        "input_parameters": inputs | input_objects | nested,
        "pipeline": st.sampled_from(["Text to image", "text_to_image", "\u00c9 X", ""]),
        "model": st.just("m"),
        "inner": st.just({"test_outcome": "failed", "errors": [{"error_code": "Timeout"}], "model_is_warm": False}),
        'a "test_outcome": "failed"': texts,
    },
)


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(payloads=st.lists(results, min_size=20, max_size=60))
def test_events_are_completed_as_the_database_does(source: tuple[str, PostgresEvents], payloads: list[object]) -> None:
    events = read_events(source, payloads)
    assert_frame_equal(complete_in_polars(events), events)
    assert_frame_equal(complete_in_duckdb(events), events)


json_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,330})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
long_numbers = st.sampled_from(["1e299", "1e-320", f"0.{'1' * 297}", f"0.{'1' * 298}", "1e12", "1.1e12"])
json_values = (
    json_numbers
    | long_numbers
    | st.builds(json.dumps, json_numbers | nested | st.sampled_from(["nan", "-inf", "1_0", ""]))
)
NUMBERS = """
    SELECT id, CASE WHEN jsonb_typeof(payload->'success_rate') = 'number'
        AND length(payload->>'success_rate') < 300 THEN (payload->'success_rate')::float8 END FROM events ORDER BY id"""


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(json_values, min_size=30, max_size=60))
def test_measures_are_the_numbers_of_the_database(source: tuple[str, PostgresEvents], values: list[str]) -> None:
    url, postgres = source
    payloads = ",".join(f'{{"success_rate":{value}}}' for value in values).replace("'", "''")
    rows(url, "TRUNCATE events")
    rows(
        url,
        f"INSERT INTO events (orchestrator, region_id, payload) SELECT '{ADDRESS}', 1, result"
        f" FROM jsonb_array_elements('[{payloads}]') result",
    )
    expected = pl.DataFrame(rows(url, NUMBERS), schema={"id": pl.Int64, "measure": pl.Float64}, orient="row")
    measure = pl.when(pl.col("measure").is_between(0, MAX_MEASURE)).then("measure").otherwise(0.0)
    found = postgres.window(MIN_TIME, MAX_TIME).select("id", measure="success_rate").sort("id").collect()
    assert_frame_equal(found, expected.with_columns(measure), check_exact=True)


def nest(depth: int, value: object) -> object:
    for _ in range(depth):
        value = [value]
    return value


BUSY = {"errors": [{"error_code": "OrchestratorBusy"}], "test_outcome": "unscored_busy", "model_is_warm": True}


@pytest.mark.parametrize(
    "payload",
    [
        BUSY | {"large": 10**400},
        BUSY | {"large": -(10**400), "deep": nest(20, 1)},
        BUSY | {"deep": nest(200, "x")},
        BUSY | {"deep": nest(90, {"[": "{" * 200})},
        BUSY | {"errors": [{"error_code": "OrchestratorBusy", "n": 10**400}]},
        BUSY | {"errors": [{"error_code": "OrchestratorBusy", "n": nest(200, 1)}]},
        BUSY | {"errors": [{"error_code": "OrchestratorBusy"}] * 200},
        BUSY | {"input_parameters": {"n": 10**400, "orchestrator": "https://o.example"}},
        BUSY | {"input_parameters": json.dumps({"n": "9" * 400, "orchestrator": "https://o.example"})},
    ],
    ids=lambda payload: str(payload)[-40:],
)
def test_numbers_and_depths_that_no_reader_takes_do_not_hide_the_fields(
    source: tuple[str, PostgresEvents], payload: dict[str, object]
) -> None:
    events = read_events(source, [payload])
    assert_frame_equal(complete_in_polars(events), events)
    assert_frame_equal(complete_in_duckdb(events), events)
    assert events.select("outcome", "error_kind", "warm").row(0) == ("unscored_busy", "busy", True)


@pytest.mark.parametrize("payload", [[BUSY], [], "text", 5, None, {"test_outcome": None}])
def test_json_without_fields_has_none(source: tuple[str, PostgresEvents], payload: object) -> None:
    events = read_events(source, [payload])
    assert_frame_equal(complete_in_polars(events), events)
    assert_frame_equal(complete_in_duckdb(events), events)
    assert events.select(OPTIONAL_COLUMNS).row(0) == (None, "none", None, None, None)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"test_outcome": "passed", "model_is_warm": False}, ("passed", "none", False, None)),
        ({"test_outcome": "Passed well", "model_is_warm": "yes"}, (None, "none", None, None)),
        ({"errors": [{"error_code": "OrchestratorCapped"}, {"error_code": "Timeout"}]}, (None, "other", None, None)),
        ({"errors": [{}]}, (None, "other", None, None)),
        ({"errors": "no list"}, (None, "none", None, None)),
        ({"input_parameters": '{"orchestrator": "https://o.example:8935"}'}, (None, "none", None, "https://o.example:8935")),
        ({"input_parameters": r'{"orchestrator":"https:\/\/o.example"}'}, (None, "none", None, "https://o.example")),
        ({"input_parameters": json.dumps({"p": "x" * 9000, "orchestrator": "a" * 255})},
         (None, "none", None, "a" * 255)),
        ({"input_parameters": json.dumps({"orchestrator": "a" * 256})}, (None, "none", None, None)),
        ({"input_parameters": r'{"prompt": "\"orchestrator\": \"x\""}'}, (None, "none", None, None)),
    ],
)  # fmt: skip
def test_fields_of_a_result(source: tuple[str, PostgresEvents], payload: object, expected: tuple[object, ...]) -> None:
    events = read_events(source, [payload])
    assert events.select("outcome", "error_kind", "warm", "service_uri").row(0) == expected
