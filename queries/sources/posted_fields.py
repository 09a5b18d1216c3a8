"""What a result says about a job besides its measures, as columns of EVENT_SCHEMA.

The database cuts the fields out of the JSON as text, and Polars does so for
files of the lake that an older release wrote. Both use the same patterns.
"""

import polars as pl

from queries.error_texts.splitting import split_list
from queries.schema import BUSY_ERRORS, NO_ERRORS, OTHER_ERRORS

OUTCOME_PATTERN = "^[a-z_]{1,64}$"
"""The values of test_outcome that count."""
SERVICE_URI_PATTERN = r'"orchestrator"\s*:\s*"([^"\\]{1,255})"'
"""The service URI in input_parameters, which is JSON in a string: a key that is not part of another string."""
BUSY_CODES = ("OrchestratorCapped", "OrchestratorBusy")
"""The error codes with which a gateway says that an orchestrator has no capacity left."""

SQL_COLUMNS = rf"""
    substring(e.payload->>'test_outcome' FROM '{OUTCOME_PATTERN}') AS outcome,
    nullif(e.payload->>'errors', '[]') AS errors,
    CASE e.payload->>'model_is_warm' WHEN 'true' THEN true WHEN 'false' THEN false END AS warm,
    substring(e.payload->>'input_parameters' FROM '{SERVICE_URI_PATTERN}') AS service_uri"""
"""The fields as PostgreSQL selects them. ``errors`` is JSON, from which ``error_kind`` follows."""


def error_kind(errors: pl.Expr) -> pl.Expr:
    """The error_kind of EVENT_SCHEMA, from the JSON of a result's errors. What is not a list counts as no errors."""
    codes = split_list(errors).list.eval(pl.element().str.json_path_match("$.error_code"))
    only_busy = (codes.list.len() > 0) & codes.list.eval(pl.element().is_in(BUSY_CODES).fill_null(False)).list.all()
    has_errors = errors.str.starts_with("[") & (errors != "[]")
    kind = pl.when(only_busy).then(pl.lit(BUSY_ERRORS)).otherwise(pl.lit(OTHER_ERRORS))
    return pl.when(has_errors.fill_null(False)).then(kind).otherwise(pl.lit(NO_ERRORS)).alias("error_kind")


def posted_fields(payload: pl.Expr) -> list[pl.Expr]:
    """The columns outcome, error_kind, warm and service_uri, from ``payload``, the result as JSON."""
    warm = payload.str.json_path_match("$.model_is_warm")
    inputs = payload.str.json_path_match("$.input_parameters")
    return [
        payload.str.json_path_match("$.test_outcome").str.extract(f"({OUTCOME_PATTERN})").alias("outcome"),
        error_kind(payload.str.json_path_match("$.errors")),
        pl.when(warm == "true").then(True).when(warm == "false").then(False).alias("warm"),
        inputs.str.extract(SERVICE_URI_PATTERN).alias("service_uri"),
    ]
