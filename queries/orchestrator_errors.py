"""The errors that the jobs of one orchestrator met with."""

from typing import TypeVar

import polars as pl

from queries.error_texts.splitting import split_errors
from queries.filters import EventFilter
from queries.orchestrator_jobs import JOB_COLUMNS

PolarsFrame = TypeVar("PolarsFrame", pl.DataFrame, pl.LazyFrame)

MAX_COUNT = 1_000_000_000
"""A posted count is cut to this, so that no sum overflows."""


def orchestrator_errors(results: PolarsFrame, event_filter: EventFilter) -> PolarsFrame:
    """The errors in results: one row per job_type, region, pipeline, model and error_code, most frequent first.

    ``results`` is a Polars frame of events with the column ``payload``, as
    ``HybridEvents.results`` returns it. Polars' own expressions cut the errors
    out of the JSON, so other engines are not supported. Only the filter's
    orchestrator is used.

    Columns: job_type, region, pipeline, model, error_code (String, empty where
    a tester posted none), results (UInt32, the number of results with the
    error), count (Int64, how often it happened; at least 1 for each result that
    lists it), share (Float64, 0..1, of all errors with the same job_type,
    region, pipeline and model) and last_seen (Datetime, UTC). Sorted by the
    first four, then count (descending), then error_code.

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
            error=split_errors(pl.col("payload")),
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
