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
}
"""Column to dtype. Query functions take Categorical text too. ``pipeline`` and ``model`` are null for transcoding;
``round_trip_time`` and ``seg_duration`` are seconds; ``success_rate`` is 1 where the whole job succeeded."""

ADDRESS_PATTERN = "^0x[0-9a-f]{40}$"
"""The regular expression of an orchestrator's address in lower case."""

MAX_MEASURE = 1e12
"""The largest success_rate or time in seconds; below it the means and formulas stay finite."""

MAX_NUMBER_DIGITS = 300
"""JSONB writes numbers without an exponent. One with more digits fits in no float and counts as absent."""

_TEXT = (nw.String, nw.Categorical, nw.Enum)


@engine_agnostic
def conform(events: NarwhalsFrame) -> NarwhalsFrame:
    """Casts a frame to EVENT_SCHEMA: its columns first, in its order, then any others.

    A measure that is null, NaN, negative or above MAX_MEASURE becomes 0, as if
    the result had none. Raises SchemaError, which names the column, where one
    is missing or cannot be cast.

    >>> from queries import conform, sample_data
    >>> mine = sample_data.events().with_columns(seg_duration=2)
    >>> conform(mine).schema["seg_duration"]
    Float64
    """
    schema = dict(events.collect_schema())
    duckdb = events.implementation.is_duckdb()
    columns = [_cast_column(name, schema, duckdb=duckdb) for name in EVENT_SCHEMA]
    return events.select(*columns, *(name for name in schema if name not in EVENT_SCHEMA))


def _cast_column(name: str, schema: dict[str, nw.dtypes.DType], *, duckdb: bool) -> nw.Expr:
    if name not in schema:
        raise SchemaError(f"the frame has no column {name!r}; events have {', '.join(EVENT_SCHEMA)}")
    found, expected, column = schema[name], EVENT_SCHEMA[name], nw.col(name)
    if isinstance(expected, nw.Float64):
        if not found.is_numeric():
            raise SchemaError(f"column {name!r} must be a number, not {found}")
        measure = column.cast(nw.Float64())
        return nw.when(measure.is_between(0, MAX_MEASURE)).then(measure).otherwise(nw.lit(0.0)).alias(name)
    if isinstance(expected, nw.Int64):
        if not found.is_integer():
            raise SchemaError(f"column {name!r} must be an integer, not {found}")
        return column.cast(nw.Int64())
    if isinstance(expected, nw.Datetime):
        if not isinstance(found, nw.Datetime) or found.time_zone is None:
            raise SchemaError(f"column {name!r} must be a time with a time zone, not {found}")
        # DuckDB has one time zone, that of its connection
        return column if duckdb else column.cast(expected)
    if not isinstance(found, _TEXT):
        raise SchemaError(f"column {name!r} must be text, not {found}")
    return column
