"""The columns of a frame of events, which every source returns and every query function takes."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.errors import SchemaError

EVENT_SCHEMA: dict[str, nw.dtypes.DType] = {
    "id": nw.Int64(),
    "event_time": nw.Datetime("us", "UTC"),
    "orchestrator": nw.String(),
    "region": nw.String(),
    "job_type": nw.String(),
    "pipeline": nw.String(),
    "model": nw.String(),
    "success_rate": nw.Float64(),
    "round_trip_time": nw.Float64(),
    "seg_duration": nw.Float64(),
    "outcome": nw.String(),
    "error_kind": nw.String(),
    "warm": nw.Boolean(),
    "service_uri": nw.String(),
    "pipeline_slug": nw.String(),
}
"""Column to dtype. Query functions take Categorical text too. ``pipeline`` and ``model`` are null for transcoding;
``round_trip_time`` and ``seg_duration`` are seconds; ``success_rate`` is 1 where the whole job succeeded.

``outcome`` is the posted test_outcome, null where there is none. ``error_kind`` is one of ERROR_KINDS. ``warm``
says whether the model was loaded already, null where that is unknown. ``service_uri`` is the node that was tested,
null where the result does not name it. ``pipeline_slug`` is the pipeline as ``slug`` has it."""

NO_ERRORS, BUSY_ERRORS, OTHER_ERRORS = ERROR_KINDS = ("none", "busy", "other")
"""No errors; only errors that say that the orchestrator was busy; any others."""

OPTIONAL_COLUMNS = ("outcome", "error_kind", "warm", "service_uri", "pipeline_slug")
"""Columns that frames of older releases do not have."""

ADDRESS_PATTERN = "^0x[0-9a-f]{40}$"
"""The regular expression of an orchestrator's address in lower case."""

MAX_MEASURE = 1e12
"""The largest success_rate or time in seconds; below it the means and formulas stay finite."""

MAX_NUMBER_DIGITS = 300
"""JSONB writes numbers without an exponent. One with more digits fits in no float and counts as absent."""

_TEXT = (nw.String, nw.Categorical, nw.Enum)
_NOUNS = {
    nw.Float64: "a number",
    nw.Int64: "an integer",
    nw.Datetime: "a time with a time zone",
    nw.Boolean: "true or false",
}


@engine_agnostic
def conform(events: NarwhalsFrame) -> NarwhalsFrame:
    """Casts a frame to EVENT_SCHEMA: its columns first, in its order, then any others.

    Where one of OPTIONAL_COLUMNS is missing, no result has a value of it. A
    measure that is null, NaN, negative or above MAX_MEASURE becomes 0, as if
    the result had none. Raises SchemaError, which names the column, where one
    is missing or cannot be cast.

    >>> from queries import conform, sample_data
    >>> mine = sample_data.events().with_columns(seg_duration=2)
    >>> conform(mine).schema["seg_duration"]
    Float64
    """
    events = with_optional_columns(events)
    schema = dict(events.collect_schema())
    duckdb = events.implementation.is_duckdb()
    columns = [_cast_column(name, schema, duckdb=duckdb) for name in EVENT_SCHEMA]
    return events.select(*columns, *(name for name in schema if name not in EVENT_SCHEMA))


def with_optional_columns(events: NarwhalsFrame) -> NarwhalsFrame:
    """The events with all of OPTIONAL_COLUMNS. Where one was missing, no event has a value of it."""
    found = events.collect_schema()
    missing = [name for name in OPTIONAL_COLUMNS if name not in found]
    defaults = {
        "error_kind": nw.lit(NO_ERRORS),
        "pipeline_slug": slug(nw.col("pipeline")) if found.get("pipeline") in _TEXT else nw.lit(None),
    }
    columns = [defaults.get(name, nw.lit(None)).cast(EVENT_SCHEMA[name]).alias(name) for name in missing]
    return events.with_columns(*columns) if columns else events


def slug(pipeline: nw.Expr) -> nw.Expr:
    """What a pipeline is known by, however it is spelled: in lower case, with hyphens for spaces and underscores."""
    return pipeline.cast(nw.String()).str.to_lowercase().str.replace_all("[ _]", "-")


def _cast_column(name: str, schema: dict[str, nw.dtypes.DType], *, duckdb: bool) -> nw.Expr:
    if name not in schema:
        required = ", ".join(column for column in EVENT_SCHEMA if column not in OPTIONAL_COLUMNS)
        raise SchemaError(f"the frame has no column {name!r}; events have {required}")
    found, expected, column = schema[name], EVENT_SCHEMA[name], nw.col(name)
    if expected == nw.String():
        if not isinstance(found, _TEXT):
            raise SchemaError(f"column {name!r} must be text, not {found}")
        return column
    if not _is_castable(found, expected):
        raise SchemaError(f"column {name!r} must be {_NOUNS[type(expected)]}, not {found}")
    if isinstance(expected, nw.Float64):
        measure = column.cast(nw.Float64())
        return nw.when(measure.is_between(0, MAX_MEASURE)).then(measure).otherwise(nw.lit(0.0)).alias(name)
    # DuckDB has one time zone, that of its connection
    return column if duckdb and isinstance(expected, nw.Datetime) else column.cast(expected)


def _is_castable(found: nw.dtypes.DType, expected: nw.dtypes.DType) -> bool:
    if isinstance(expected, nw.Datetime):
        return isinstance(found, nw.Datetime) and found.time_zone is not None
    if isinstance(expected, nw.Float64):
        return found.is_numeric()
    return found.is_integer() if isinstance(expected, nw.Int64) else isinstance(found, nw.Boolean)
