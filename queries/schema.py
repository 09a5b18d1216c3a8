"""The one frame of events that every source yields and every question takes."""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

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
"""Column to dtype. Text may be Categorical as well; ``pipeline`` and ``model`` are null for transcoding;
``round_trip_time`` and ``seg_duration`` are seconds; ``success_rate`` is 1 where all of a job succeeded."""

ADDRESS_PATTERN = "^0x[0-9a-f]{40}$"
"""What an orchestrator's address looks like, in lower case."""

MAX_MEASURE = 1e12
"""What no success_rate and no time in seconds exceeds; the means and formulas stay finite below it."""

MAX_NUMBER_DIGITS = 300
"""Digits of a number as JSONB writes it, without an exponent; one that no float holds has more and is absent."""

_TEXT = (nw.String, nw.Categorical, nw.Enum)


def conform(frame: IntoFrameT) -> IntoFrameT:
    """The frame with the columns of EVENT_SCHEMA, in its order and with its dtypes, and any others after them.

    A measure that is null, NaN, negative or above LARGEST_MEASURE becomes 0,
    as a result that lacks it counts.
    Raises SchemaError where a column is missing or is of another kind.

    >>> from queries import conform, sample_data
    >>> mine = sample_data.events().with_columns(seg_duration=2)
    >>> conform(mine).schema["seg_duration"]
    Float64
    """
    events = nw.from_native(frame)
    schema, duckdb = events.collect_schema(), events.implementation.is_duckdb()
    columns = [_column(name, schema, duckdb) for name in EVENT_SCHEMA]
    return events.select(*columns, *(name for name in schema if name not in EVENT_SCHEMA)).to_native()


def _column(name: str, schema: nw.Schema, duckdb: bool) -> nw.Expr:
    if name not in schema:
        raise SchemaError(f"the frame has no column {name!r}; events have {', '.join(EVENT_SCHEMA)}")
    have, want, column = schema[name], EVENT_SCHEMA[name], nw.col(name)
    if isinstance(want, nw.Float64):
        if not have.is_numeric():
            raise SchemaError(f"column {name!r} must be a number, not {have}")
        measure = column.cast(nw.Float64())
        return nw.when(measure.is_between(0, MAX_MEASURE)).then(measure).otherwise(nw.lit(0.0)).alias(name)
    if isinstance(want, nw.Int64):
        if not have.is_integer():
            raise SchemaError(f"column {name!r} must be an integer, not {have}")
        return column.cast(nw.Int64())
    if isinstance(want, nw.Datetime):
        if not isinstance(have, nw.Datetime) or have.time_zone is None:
            raise SchemaError(f"column {name!r} must be a time with a time zone, not {have}")
        # DuckDB shows a moment in the zone of its connection and knows no other
        return column if duckdb else column.cast(want)
    if not isinstance(have, _TEXT):
        raise SchemaError(f"column {name!r} must be text, not {have}")
    return column
