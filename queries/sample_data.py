"""A few events to try the query functions with."""

from datetime import UTC, datetime, timedelta

import polars as pl

from queries.filters import AI, TRANSCODING
from queries.schema import conform

_NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
_LLM = (AI, "llm", "small")
_VIDEO = (TRANSCODING, None, None)
_COLUMNS = ("orchestrator", "region", "job_type", "pipeline", "model", "success_rate", "round_trip_time")
_ROWS = [
    ("0xaa", "FRA", *_VIDEO, 1.0, 0.5),
    ("0xaa", "FRA", *_VIDEO, 0.5, 0.75),
    ("0xaa", "NYC", *_VIDEO, 1.0, 1.0),
    ("0xbb", "FRA", *_VIDEO, 1.0, 2.0),
    ("0xbb", "NYC", *_VIDEO, 0.0, 0.0),
    ("0xaa", "FRA", *_LLM, 1.0, 3.0),
    ("0xbb", "FRA", *_LLM, 1.0, 5.0),
    ("0xbb", "FRA", *_LLM, 0.0, 9.0),
]


def events() -> pl.DataFrame:
    """Eight events of two orchestrators in two regions, one every three hours, with the columns of EVENT_SCHEMA."""
    frame = pl.DataFrame(_ROWS, schema=_COLUMNS, orient="row", schema_overrides={"pipeline": pl.String})
    seconds = pl.when(pl.col("job_type") == TRANSCODING).then(2.0).otherwise(0.0)
    return conform(
        frame.with_row_index("id", offset=1).with_columns(
            event_time=_NOON + timedelta(hours=3) * (pl.col("id") - 1), seg_duration=seconds
        )
    )


def results() -> pl.DataFrame:
    """The same events with ``payload``, the result as JSON. A job that failed, or failed in part, has an error."""
    error = pl.when(pl.col("success_rate") < 1).then(
        pl.concat_list(pl.struct(error_code=pl.lit("Timeout"), count=pl.lit(1)))
    )
    payload = pl.struct("success_rate", "round_trip_time", errors=error).struct.json_encode()
    return events().with_columns(payload=payload)
