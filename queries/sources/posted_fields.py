"""What a result says about a job besides its measures, as columns of EVENT_SCHEMA.

The database cuts the fields out of the JSON as text, and Polars does so for
files of the lake that an older release wrote. Both use the same patterns.
"""

import json
from collections.abc import Callable

import narwhals.stable.v2 as nw
import polars as pl

from queries.error_texts.splitting import split_list
from queries.schema import BUSY_ERRORS, EVENT_SCHEMA, NO_ERRORS, OPTIONAL_COLUMNS, OTHER_ERRORS, slug

OUTCOME_PATTERN = "^[a-z_]{1,64}$"
"""The values of test_outcome that count."""
SERVICE_URI_PATTERN = r'"orchestrator"[ \t\r\n]*:[ \t\r\n]*"((?:[^"\\]|\\/){1,255})"'
"""The service URI in input_parameters, which is JSON in a string: a key that is not part of another string.

JSON may have a backslash before a slash, which belongs to neither."""
SERVICE_URI_KEY = '"orchestrator"'
EXCERPT_CHARACTERS = 300
"""How much of input_parameters is searched, from the first SERVICE_URI_KEY on. A prompt may be long."""
BUSY_CODES = ("OrchestratorCapped", "OrchestratorBusy")
"""The error codes with which a gateway says that an orchestrator has no capacity left."""

SQL_COLUMNS = f"""
    e.payload->>'test_outcome' AS outcome, e.payload->>'errors' AS errors, e.payload->>'model_is_warm' AS warm,
    CASE WHEN e.payload ? 'input_parameters' THEN substring(e.payload->>'input_parameters',
        nullif(strpos(e.payload->>'input_parameters', '{SERVICE_URI_KEY}'), 0), {EXCERPT_CHARACTERS}) END AS inputs"""
"""The fields as PostgreSQL selects them: text, which ``derive_fields`` takes.

Any condition or pattern in SQL would take longer than cutting the field out.
"""
SQL_HAS_ERRORS = "starts_with(e.payload->>'errors', '[') AND e.payload->>'errors' <> '[]'"
"""Whether the error_kind of a result is not NO_ERRORS."""

DUCKDB_COLUMNS = rf"""
    nullif(regexp_extract(payload::JSON->>'test_outcome', '{OUTCOME_PATTERN}'), '') AS outcome,
    CASE WHEN payload::JSON->>'errors' IS NULL OR payload::JSON->>'errors' = '[]'
            OR NOT starts_with(payload::JSON->>'errors', '[') THEN '{NO_ERRORS}'
        WHEN list_bool_and(list_transform(
            list_filter(try_cast(payload::JSON->>'errors' AS JSON[]), lambda error: json_type(error) = 'OBJECT'),
            lambda error: coalesce((error->>'error_code') IN {BUSY_CODES}, false))) THEN '{BUSY_ERRORS}'
        ELSE '{OTHER_ERRORS}' END AS error_kind,
    CASE payload::JSON->>'model_is_warm' WHEN 'true' THEN true WHEN 'false' THEN false END AS warm,
    replace(nullif(regexp_extract(substring(payload::JSON->>'input_parameters',
        strpos(payload::JSON->>'input_parameters', '{SERVICE_URI_KEY}'), {EXCERPT_CHARACTERS}),
        '{SERVICE_URI_PATTERN}', 1), ''), '\/', '/') AS service_uri,
    translate(lower(pipeline), ' _', '--') AS pipeline_slug"""
"""OPTIONAL_COLUMNS as DuckDB selects them from events of an older release."""


MAX_READABLE_BRACKETS, LONG_NUMBER = 100, "[0-9]{300}"
"""Polars reads JSON with larger numbers, or nested more deeply, as if it were none. PostgreSQL stores it."""
MAX_SIMPLE_DEPTH = 32


def derive_fields(outcome: pl.Expr, errors: pl.Expr, warm: pl.Expr, inputs: pl.Expr) -> list[pl.Expr]:
    """The columns outcome, error_kind, warm and service_uri of EVENT_SCHEMA, from the fields of a result as text.

    ``inputs`` is an excerpt of input_parameters that begins with SERVICE_URI_KEY.
    """
    return [
        outcome.str.extract(f"({OUTCOME_PATTERN})").alias("outcome"),
        # anything but a list counts as no errors
        once_per_text(errors, _error_kind).fill_null(NO_ERRORS).alias("error_kind"),
        is_warm(warm),
        once_per_text(inputs, _service_uri).alias("service_uri"),
    ]


def is_warm(warm: pl.Expr) -> pl.Expr:
    """The warm of EVENT_SCHEMA, from model_is_warm as text."""
    return pl.when(warm == "true").then(True).when(warm == "false").then(False).alias("warm")


def once_per_text(text: pl.Expr, derive: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """What ``derive`` makes of a text (a String, or null), computed once for all rows with the same. Null for null."""

    def compute(texts: pl.Series) -> pl.Series:
        distinct = texts.unique().drop_nulls()
        derived = distinct.to_frame("text").select(derive(pl.col("text"))).to_series()
        return texts.replace_strict(distinct, derived, default=None, return_dtype=pl.String)

    return text.map_batches(compute, return_dtype=pl.String, is_elementwise=True)


def _error_kind(errors: pl.Expr) -> pl.Expr:
    codes = split_list(_readable(errors)).list.eval(pl.element().str.json_path_match("$.error_code"))
    only_busy = (codes.list.len() > 0) & codes.list.eval(pl.element().is_in(BUSY_CODES).fill_null(False)).list.all()
    has_errors = errors.str.starts_with("[") & (errors != "[]")
    kind = pl.when(only_busy).then(pl.lit(BUSY_ERRORS)).otherwise(pl.lit(OTHER_ERRORS))
    return pl.when(has_errors).then(kind)


def _service_uri(inputs: pl.Expr) -> pl.Expr:
    return inputs.str.extract(SERVICE_URI_PATTERN).str.replace_all("\\/", "/", literal=True)


def with_posted_fields(events: pl.LazyFrame) -> pl.LazyFrame:
    """Events of an older release, with OPTIONAL_COLUMNS as PostgresEvents has them.

    ``events`` has the other columns of EVENT_SCHEMA, and ``payload``, the result as JSONB has it.
    """
    columns = [name for name in EVENT_SCHEMA if name not in OPTIONAL_COLUMNS]
    events = events.select(*columns, "payload", _readable(pl.col("payload")).alias("result"))
    slugs = nw.from_native(events).with_columns(slug(nw.col("pipeline")).alias("pipeline_slug"))
    return slugs.to_native().with_columns(_posted_fields(pl.col("result"))).drop("result")


def _posted_fields(result: pl.Expr) -> list[pl.Expr]:
    """The columns of ``derive_fields``, from a result as a JSON object."""
    outcome, errors, warm, inputs = (
        result.str.json_path_match(f"$.{name}")
        for name in ("test_outcome", "errors", "model_is_warm", "input_parameters")
    )
    excerpt = f"(?s)({SERVICE_URI_KEY}.{{0,{EXCERPT_CHARACTERS - len(SERVICE_URI_KEY)}}})"
    return derive_fields(outcome, errors, warm, inputs.str.extract(excerpt))


def _readable(text: pl.Expr) -> pl.Expr:
    """JSON that Polars can read, with the same texts in its upper levels."""
    return text.map_batches(_simplify_unreadable, return_dtype=pl.String, is_elementwise=True)


def _simplify_unreadable(texts: pl.Series) -> pl.Series:
    unreadable = (texts.str.count_matches(r"[\[{]") > MAX_READABLE_BRACKETS) | texts.str.contains(LONG_NUMBER)
    if not unreadable.any():
        return texts
    simple = [_simplify(text) if odd else text for text, odd in zip(texts, unreadable, strict=True)]
    return pl.Series(texts.name, simple, pl.String)


def _simplify(text: str) -> str:
    """The JSON with 0 for each number, and null for what is nested deeper than MAX_SIMPLE_DEPTH."""

    def cut(value: object, depth: int) -> object:
        if not isinstance(value, dict | list):
            return value
        if depth == 0:
            return None
        if isinstance(value, list):
            return [cut(inner, depth - 1) for inner in value]
        return {key: cut(inner, depth - 1) for key, inner in value.items()}

    document = json.loads(text, parse_int=lambda _: 0, parse_float=lambda _: 0)
    return json.dumps(cut(document, MAX_SIMPLE_DEPTH), ensure_ascii=False)
