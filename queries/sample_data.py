"""A few events to try the query functions with."""

from datetime import UTC, datetime, timedelta

import polars as pl

from queries.filters import AI, TRANSCODING
from queries.schema import NO_ERRORS, OTHER_ERRORS, conform

_NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
_MEASURES = ("success_rate", "round_trip_time")
_TRANSCODING = [
    ("0xaa", "FRA", 1.0, 0.5),
    ("0xaa", "FRA", 0.5, 0.75),
    ("0xaa", "NYC", 1.0, 1.0),
    ("0xbb", "FRA", 1.0, 2.0),
    ("0xbb", "NYC", 0.0, 0.0),
]
_LLM, _LIVE = ("llm", "small"), ("live-video-to-video", "diffusion")
_AI = [
    ("0xaa", "FRA", *_LLM, 1.0, 3.0, None, True, "https://aa.example:8935"),
    ("0xbb", "FRA", *_LLM, 1.0, 5.0, None, False, "https://bb-1.example:8935"),
    ("0xbb", "FRA", *_LLM, 0.0, 9.0, None, True, "https://bb-1.example:8935"),
    ("0xaa", "FRA", *_LIVE, 1.0, 0.9, "passed", True, "https://aa.example:8935"),
    ("0xbb", "FRA", *_LIVE, 1.0, 0.4, "passed", True, "https://bb-2.example:8935"),
    ("0xbb", "FRA", *_LIVE, 0.0, 0.0, "unscored_busy", True, "https://bb-2.example:8935"),
]
_AI_COLUMNS = ("pipeline", "model", *_MEASURES, "outcome", "warm", "service_uri")


def events() -> pl.DataFrame:
    """Eleven events of two orchestrators in two regions, one every three hours, with the columns of EVENT_SCHEMA.

    Five are of transcoding jobs, three of a language model, some of them cold,
    and three of live video, of which one is unscored.
    """
    transcoding = pl.DataFrame(_TRANSCODING, schema=("orchestrator", "region", *_MEASURES), orient="row")
    ai = pl.DataFrame(_AI, schema=("orchestrator", "region", *_AI_COLUMNS), orient="row")
    frame = pl.concat(
        [
            transcoding.with_columns(job_type=pl.lit(TRANSCODING), seg_duration=2.0),
            ai.with_columns(job_type=pl.lit(AI), seg_duration=0.0),
        ],
        how="diagonal",
    )
    has_error = (pl.col("success_rate") < 1) & ~pl.col("outcome").fill_null("").str.starts_with("unscored")
    return conform(
        frame.with_row_index("id", offset=1).with_columns(
            event_time=_NOON + timedelta(hours=3) * (pl.col("id") - 1),
            error_kind=pl.when(has_error).then(pl.lit(OTHER_ERRORS)).otherwise(pl.lit(NO_ERRORS)),
        )
    )


def results() -> pl.DataFrame:
    """The same events with ``payload``, the result as JSON. A job that failed, or failed in part, has an error."""
    error = pl.when(pl.col("error_kind") == OTHER_ERRORS).then(
        pl.concat_list(pl.struct(error_code=pl.lit("Timeout"), count=pl.lit(1)))
    )
    payload = pl.struct(*_MEASURES, errors=error).struct.json_encode()
    return events().with_columns(payload=payload)
