"""The errors that the jobs of one orchestrator met with."""

from typing import TypeVar

import polars as pl

from queries.error_texts import ERROR_CLASSES, split_errors
from queries.error_texts.descriptions import DESCRIBED_SCHEMA, POSTED_COLUMNS, describe_texts
from queries.filters import EventFilter
from queries.orchestrator_jobs import JOB_COLUMNS

PolarsFrame = TypeVar("PolarsFrame", pl.DataFrame, pl.LazyFrame)

MAX_COUNT = 1_000_000_000
"""A posted count is cut to this, so that no sum overflows."""

_COUNTS = ("results", "count", "share", "last_seen")


def orchestrator_errors(results: PolarsFrame, event_filter: EventFilter) -> PolarsFrame:
    """The errors in results: one row per job_type, region, pipeline, model, class and error_code, most frequent first.

    ``results`` is a Polars frame of events with the column ``payload``, as
    ``HybridEvents.results`` returns it. Polars' own expressions cut the errors
    out of the JSON, so other engines are not supported. Only the filter's
    orchestrator is used.

    Columns: job_type, region, pipeline, model, class (String, a name in
    ERROR_CLASSES), error_code (String, as ``normalize_error`` makes it; empty
    where a tester posted none), message (String, the most frequent one,
    normalized; null where there is none), results (UInt32, the number of results
    with the error), count (Int64, how often it happened; at least 1 for each
    result that lists it), share (Float64, 0..1, of all errors with the same
    job_type, region, pipeline and model) and last_seen (Datetime, UTC). Sorted
    by the first four, then count (descending), then error_code and class.

    >>> from queries import EventFilter, sample_data, orchestrator_errors
    >>> errors = orchestrator_errors(sample_data.results(), EventFilter(orchestrator="0xbb"))
    >>> errors.select("job_type", "region", "model", "class", "error_code", "results", "count", "share")
    shape: (2, 8)
    ┌─────────────┬────────┬───────┬─────────┬────────────┬─────────┬───────┬───────┐
    │ job_type    ┆ region ┆ model ┆ class   ┆ error_code ┆ results ┆ count ┆ share │
    │ ---         ┆ ---    ┆ ---   ┆ ---     ┆ ---        ┆ ---     ┆ ---   ┆ ---   │
    │ str         ┆ str    ┆ str   ┆ str     ┆ str        ┆ u32     ┆ i64   ┆ f64   │
    ╞═════════════╪════════╪═══════╪═════════╪════════════╪═════════╪═══════╪═══════╡
    │ ai          ┆ FRA    ┆ small ┆ timeout ┆ Timeout    ┆ 1       ┆ 1     ┆ 1.0   │
    │ transcoding ┆ NYC    ┆ null  ┆ timeout ┆ Timeout    ┆ 1       ┆ 1     ┆ 1.0   │
    └─────────────┴────────┴───────┴─────────┴────────────┴─────────┴───────┴───────┘
    """
    return _errors_of_jobs(classified_errors(results, event_filter))


def orchestrator_error_classes(results: PolarsFrame, event_filter: EventFilter) -> PolarsFrame:
    """The errors of all jobs by class: one row per class, most frequent first.

    Takes what ``orchestrator_errors`` takes. Columns: class (String, a name in
    ERROR_CLASSES), what_to_do (String, a sentence for the operator), results,
    count, share (of all errors), last_seen, as in ``orchestrator_errors``, and
    codes (List(String), the error_code of each row there, most frequent first).

    >>> from queries import EventFilter, sample_data, orchestrator_error_classes
    >>> classes = orchestrator_error_classes(sample_data.results(), EventFilter(orchestrator="0xbb"))
    >>> classes.select("class", "results", "count", "share", "codes")
    shape: (1, 5)
    ┌─────────┬─────────┬───────┬───────┬─────────────┐
    │ class   ┆ results ┆ count ┆ share ┆ codes       │
    │ ---     ┆ ---     ┆ ---   ┆ ---   ┆ ---         │
    │ str     ┆ u32     ┆ i64   ┆ f64   ┆ list[str]   │
    ╞═════════╪═════════╪═══════╪═══════╪═════════════╡
    │ timeout ┆ 2       ┆ 2     ┆ 1.0   ┆ ["Timeout"] │
    └─────────┴─────────┴───────┴───────┴─────────────┘
    """
    return _error_classes(classified_errors(results, event_filter))


def orchestrator_error_tables(results: pl.DataFrame, event_filter: EventFilter) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of ``orchestrator_errors`` and of ``orchestrator_error_classes``, in less time than one after the other.

    >>> from queries import EventFilter, sample_data
    >>> errors, classes = orchestrator_error_tables(sample_data.results(), EventFilter(orchestrator="0xbb"))
    >>> errors.height, classes.height
    (2, 1)
    """
    # in memory, plans of few rows are quicker
    errors = classified_errors(results, event_filter).lazy()
    by_job, by_class = (
        table.collect(engine="streaming") for table in (_errors_of_jobs(errors), _error_classes(errors))
    )
    return by_job, by_class


def daily_error_classes(results: PolarsFrame, event_filter: EventFilter) -> PolarsFrame:
    """The errors of all jobs by day of UTC: one row per day and class, sorted by both.

    Takes what ``orchestrator_errors`` takes. Columns: day (Date), class
    (String), results (UInt32, the number of results with such an error).

    >>> from queries import EventFilter, daily_error_classes, sample_data
    >>> daily_error_classes(sample_data.results(), EventFilter(orchestrator="0xbb"))
    shape: (1, 3)
    ┌────────────┬─────────┬─────────┐
    │ day        ┆ class   ┆ results │
    │ ---        ┆ ---     ┆ ---     │
    │ date       ┆ str     ┆ u32     │
    ╞════════════╪═════════╪═════════╡
    │ 2026-09-02 ┆ timeout ┆ 2       │
    └────────────┴─────────┴─────────┘
    """
    return (
        classified_errors(results, event_filter)
        .group_by(pl.col("event_time").dt.date().alias("day"), "class")
        .agg(pl.col("id").n_unique().alias("results"))
        .sort("day", "class")
    )


def classified_errors(results: PolarsFrame, event_filter: EventFilter) -> PolarsFrame:
    """One row per error of the filter's orchestrator: id, event_time, JOB_COLUMNS, class, error_code, message, count.

    ``results`` are those of ``orchestrator_errors``.
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
        .select(
            *("id", "event_time", *JOB_COLUMNS),
            count=count.cast(pl.Int64),
            posted_code=error.str.json_path_match("$.error_code").fill_null(""),
            posted_message=error.str.json_path_match("$.message").fill_null(""),
        )
    )
    # most errors are alike, and texts take the longest
    texts = errors.select(POSTED_COLUMNS).unique()
    if isinstance(texts, pl.LazyFrame):
        described = texts.map_batches(describe_texts, schema=DESCRIBED_SCHEMA)
    else:
        described = describe_texts(texts)
    return errors.join(described, on=POSTED_COLUMNS)


def _errors_of_jobs(errors: PolarsFrame) -> PolarsFrame:
    messages = pl.col("message").drop_nulls()
    return (
        errors.group_by(*JOB_COLUMNS, "class", "error_code")
        .agg(*_count_columns(), message=messages.mode().sort().first())
        .with_columns(share=pl.col("count") / pl.col("count").sum().over(JOB_COLUMNS))
        .select(*JOB_COLUMNS, "class", "error_code", "message", *_COUNTS)
        .sort(*JOB_COLUMNS, "count", "error_code", "class", descending=[False] * 4 + [True, False, False])
    )


def _error_classes(errors: PolarsFrame) -> PolarsFrame:
    names = [found.name for found in ERROR_CLASSES]
    sentences = [found.what_to_do for found in ERROR_CLASSES]
    counts_of_codes = pl.col("count").sum().over("class", "error_code")
    codes = pl.col("error_code").sort_by(-pl.col("of_code"), "error_code").unique(maintain_order=True)
    return (
        errors.with_columns(of_code=counts_of_codes)
        .group_by("class")
        .agg(*_count_columns(), codes=codes)
        .with_columns(
            share=pl.col("count") / pl.col("count").sum(),
            what_to_do=pl.col("class").replace_strict(names, sentences),
        )
        .select("class", "what_to_do", *_COUNTS, "codes")
        .sort("count", "class", descending=[True, False])
    )


def _count_columns() -> list[pl.Expr]:
    return [
        pl.col("id").n_unique().alias("results"),
        pl.col("count").sum(),
        pl.col("event_time").max().alias("last_seen"),
    ]
