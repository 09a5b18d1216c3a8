"""Which errors did an orchestrator's jobs meet with?"""

from typing import TypeVar

import polars as pl

from queries.filters import EventFilter
from queries.orchestrator_jobs import JOB_COLUMNS

Results = TypeVar("Results", pl.DataFrame, pl.LazyFrame)

MAX_COUNT = 1_000_000_000
"""The most that one error counts, so that no sum of them overflows."""

_STRING = r'"(?:[^"\\]|\\.)*"'
_OBJECT = rf'\{{(?:{_STRING}|[^{{}}"]|\{{(?:{_STRING}|[^{{}}"])*\}})*\}}'
"""A JSON object, whose values may be objects without objects in them."""


def orchestrator_errors(results: Results, event_filter: EventFilter) -> Results:
    """The errors in results: one row per job_type, region, pipeline, model and error_code, the most frequent first.

    ``results`` is a Polars frame of events with the column ``payload``, as
    ``HybridEvents.results`` gives it, and the query's orchestrator all that
    matters of the query. The errors are cut out of the JSON by Polars' own
    expressions, so no other engine is taken.

    Columns: job_type, region, pipeline, model, error_code (String, empty where
    a tester gave none), results (UInt32, that met with it), count (Int64, how
    often: an error that is listed has happened once, whatever its count says),
    share (Float64, 0..1, of all errors in the same job_type, region, pipeline
    and model) and last_seen (Datetime, UTC). Sorted by the first four, then
    count, then error_code.

    >>> from queries import EventFilter, sample_data, orchestrator_errors
    >>> errors = orchestrator_errors(sample_data.results(), EventFilter(orchestrator="0xbb"))
    >>> errors.select("job_type", "region", "model", "error_code", "results", "count", "share")
    shape: (2, 7)
    ┌─────────────┬────────┬───────┬────────────┬─────────┬───────┬───────┐
    │ job_type    ┆ region ┆ model ┆ error_code ┆ results ┆ count ┆ share │
    │ ---         ┆ ---    ┆ ---   ┆ ---        ┆ ---     ┆ ---   ┆ ---   │
    │ str         ┆ str    ┆ str   ┆ str        ┆ u32     ┆ i64   ┆ f64   │
    ╞═════════════╪════════╪═══════╪════════════╪═════════╪═══════╪═══════╡
    │ ai          ┆ FRA    ┆ small ┆ Timeout    ┆ 1       ┆ 1     ┆ 1.0   │
    │ transcoding ┆ NYC    ┆ null  ┆ Timeout    ┆ 1       ┆ 1     ┆ 1.0   │
    └─────────────┴────────┴───────┴────────────┴─────────┴───────┴───────┘
    """
    error = pl.col("error")
    count = error.str.json_path_match("$.count").cast(pl.Float64, strict=False).clip(1, MAX_COUNT).fill_null(1)
    errors = (
        results.filter(pl.col("orchestrator") == event_filter.orchestrator)
        .select(
            "id",
            "event_time",
            pl.col(JOB_COLUMNS).cast(pl.String),
            error=pl.col("payload").str.json_path_match("$.errors").str.extract_all(_OBJECT),
        )
        .explode("error")
        .filter(error.is_not_null())
        .with_columns(
            error_code=error.str.json_path_match("$.error_code").fill_null(""),
            count=count.cast(pl.Int64),
        )
    )
    return (
        errors.group_by(*JOB_COLUMNS, "error_code")
        .agg(results=pl.col("id").n_unique(), count=pl.col("count").sum(), last_seen=pl.col("event_time").max())
        .with_columns(share=pl.col("count") / pl.col("count").sum().over(JOB_COLUMNS))
        .select(*JOB_COLUMNS, "error_code", "results", "count", "share", "last_seen")
        .sort(*JOB_COLUMNS, "count", "error_code", descending=[False] * 4 + [True, False])
    )
