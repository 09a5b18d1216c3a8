"""Why is an orchestrator's score what it is?"""

from typing import TypeVar

import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import FrameT, IntoFrameT

from queries.leaderboard import DIGITS
from queries.query import AI, TRANSCODING, Query, select
from queries.scoring import formulas
from queries.scoring.grouping import JOB, SCORE_FIELDS, of_jobs, scored

Results = TypeVar("Results", pl.DataFrame, pl.LazyFrame)

KEY = ("job_type", "region", *JOB)
COLUMNS = (
    *("orchestrator", *KEY, "rank", "ranked", "events", "succeeded", "failed", *SCORE_FIELDS),
    *("round_trip_time", "median_round_trip_time", "last_success", "last_failure"),
)

LARGEST_COUNT = 1_000_000_000
"""What one error counts at most, so that no sum of them overflows."""

_STRING = r'"(?:[^"\\]|\\.)*"'
_OBJECT = rf'\{{(?:{_STRING}|[^{{}}"]|\{{(?:{_STRING}|[^{{}}"])*\}})*\}}'
"""An object of JSON, of which the values may be objects without further ones."""


def orchestrator_jobs(events: IntoFrameT, query: Query) -> IntoFrameT:
    """What the query's orchestrator did: one row per job_type, region, pipeline and model, sorted by these.

    Of the query only the orchestrator matters. Columns: orchestrator,
    job_type, region, pipeline, model (String, the last two null for
    transcoding), rank among the ``ranked`` orchestrators that did the same job
    in the same region (Int64, 1 for the highest score, equal scores share the
    lowest), events, succeeded, failed (Int64, as leaderboard has them),
    success_rate, round_trip_score, score (Float64, 0..1, as aggregated_stats
    has them without a region filter), round_trip_time (the mean of these
    events) and median_round_trip_time (the network's, of all regions; null for
    transcoding, and where no job succeeded) in seconds, and last_success and
    last_failure (Datetime, UTC; null where there was none). AI jobs that name
    no pipeline or no model are left out.

    >>> from queries import Query, example, orchestrator_jobs
    >>> jobs = orchestrator_jobs(example.events(), Query(orchestrator="0xbb"))
    >>> jobs.select("job_type", "region", "model", "rank", "ranked", "events", "failed", "score")
    shape: (3, 8)
    ┌─────────────┬────────┬───────┬──────┬────────┬────────┬────────┬──────────┐
    │ job_type    ┆ region ┆ model ┆ rank ┆ ranked ┆ events ┆ failed ┆ score    │
    │ ---         ┆ ---    ┆ ---   ┆ ---  ┆ ---    ┆ ---    ┆ ---    ┆ ---      │
    │ str         ┆ str    ┆ str   ┆ i64  ┆ i64    ┆ i64    ┆ i64    ┆ f64      │
    ╞═════════════╪════════╪═══════╪══════╪════════╪════════╪════════╪══════════╡
    │ ai          ┆ FRA    ┆ small ┆ 2    ┆ 2      ┆ 2      ┆ 1      ┆ 0.561851 │
    │ transcoding ┆ FRA    ┆ null  ┆ 2    ┆ 2      ┆ 1      ┆ 0      ┆ 0.632121 │
    │ transcoding ┆ NYC    ┆ null  ┆ 2    ┆ 2      ┆ 1      ┆ 1      ┆ 0.0      │
    └─────────────┴────────┴───────┴──────┴────────┴────────┴────────┴──────────┘
    """
    source = nw.from_native(events)
    parts = [_jobs(source, query, job_type) for job_type in (AI, TRANSCODING)]
    return nw.concat(parts).select(*COLUMNS).sort(*KEY).to_native()


def _jobs(source: FrameT, query: Query, job_type: str) -> FrameT:
    jobs = of_jobs(select(source, Query(job_type=job_type)), job_type)
    job = JOB if job_type == AI else ()
    group = ("region", *job)
    place = nw.col("score").round(DIGITS).rank("min", descending=True).over(*group).cast(nw.Int64())
    own = nw.col("orchestrator") == query.orchestrator
    ranked = (
        scored(jobs, jobs, job_type, ("orchestrator", "region"))
        .with_columns(rank=place, ranked=nw.len().over(*group).cast(nw.Int64()))
        .filter(own)
    )
    times = (
        jobs.filter(own)
        .with_columns(
            last_success=nw.when(formulas.succeeded()).then(nw.col("event_time")),
            last_failure=nw.when(~formulas.succeeded()).then(nw.col("event_time")),
        )
        .group_by(*group)
        .agg(nw.col("last_success", "last_failure").max())
    )
    return (
        ranked.join(times, on=list(group), how="left")
        .with_columns(
            nw.lit(job_type).alias("job_type"),
            (nw.col("events") - nw.col("succeeded")).alias("failed"),
            # parts with categories of their own would not go together
            nw.col("orchestrator", "region", *JOB).cast(nw.String()),
        )
        .select(*COLUMNS)
    )


def orchestrator_errors(results: Results, query: Query) -> Results:
    """The errors in results: one row per job_type, region, pipeline, model and error_code, the most frequent first.

    ``results`` is a Polars frame of events with the column ``payload``, as
    ``StoredEvents.results`` gives it, and the query's orchestrator all that
    matters of the query. The errors are cut out of the JSON by Polars' own
    expressions, so no other engine is taken.

    Columns: job_type, region, pipeline, model, error_code (String, empty where
    a tester gave none), results (UInt32, that met with it), count (Int64, how
    often: an error that is listed has happened once, whatever its count says),
    share (Float64, 0..1, of all errors in the same job_type, region, pipeline
    and model) and last_seen (Datetime, UTC). Sorted by the first four, then
    count, then error_code.

    >>> from queries import Query, example, orchestrator_errors
    >>> errors = orchestrator_errors(example.results(), Query(orchestrator="0xbb"))
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
    count = error.str.json_path_match("$.count").cast(pl.Float64, strict=False).clip(1, LARGEST_COUNT).fill_null(1)
    errors = (
        results.filter(pl.col("orchestrator") == query.orchestrator)
        .select(
            "id",
            "event_time",
            pl.col(KEY).cast(pl.String),
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
        errors.group_by(*KEY, "error_code")
        .agg(results=pl.col("id").n_unique(), count=pl.col("count").sum(), last_seen=pl.col("event_time").max())
        .with_columns(share=pl.col("count") / pl.col("count").sum().over(KEY))
        .select(*KEY, "error_code", "results", "count", "share", "last_seen")
        .sort(*KEY, "count", "error_code", descending=[False] * 4 + [True, False])
    )
