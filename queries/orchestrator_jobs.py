"""What did an orchestrator do, how well, and where does it stand among its peers?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import FrameT, IntoFrameT

from queries.filters import AI, TRANSCODING, EventFilter, apply_filter
from queries.ranking import SCORE_DECIMALS
from queries.scoring import formulas
from queries.scoring.grouping import AI_KEYS, SCORE_FIELDS, scorable, score_groups

JOB_COLUMNS = ("job_type", "region", *AI_KEYS)
"""What one row of orchestrator_jobs is about."""
_COLUMNS = (
    *("orchestrator", *JOB_COLUMNS, "rank", "ranked_count", "events", "succeeded", "failed", *SCORE_FIELDS),
    *("round_trip_time", "median_round_trip_time", "last_success", "last_failure"),
)


def orchestrator_jobs(events: IntoFrameT, event_filter: EventFilter) -> IntoFrameT:
    """What the query's orchestrator did: one row per job_type, region, pipeline and model, sorted by these.

    Of the query only the orchestrator matters. Columns: orchestrator,
    job_type, region, pipeline, model (String, the last two null for
    transcoding), rank among the ``ranked_count`` orchestrators that did the same job
    in the same region (Int64, 1 for the highest score, equal scores share the
    lowest), events, succeeded, failed (Int64, as ranking has them),
    success_rate, round_trip_score, score (Float64, 0..1, as aggregated_stats
    has them without a region filter), round_trip_time (the mean of these
    events) and median_round_trip_time (the network's, of all regions; null for
    transcoding, and where no job succeeded) in seconds, and last_success and
    last_failure (Datetime, UTC; null where there was none). AI jobs that name
    no pipeline or no model are left out.

    >>> from queries import EventFilter, sample_data, orchestrator_jobs
    >>> jobs = orchestrator_jobs(sample_data.events(), EventFilter(orchestrator="0xbb"))
    >>> jobs.select("job_type", "region", "model", "rank", "ranked_count", "events", "failed", "score")
    shape: (3, 8)
    ┌─────────────┬────────┬───────┬──────┬──────────────┬────────┬────────┬──────────┐
    │ job_type    ┆ region ┆ model ┆ rank ┆ ranked_count ┆ events ┆ failed ┆ score    │
    │ ---         ┆ ---    ┆ ---   ┆ ---  ┆ ---          ┆ ---    ┆ ---    ┆ ---      │
    │ str         ┆ str    ┆ str   ┆ i64  ┆ i64          ┆ i64    ┆ i64    ┆ f64      │
    ╞═════════════╪════════╪═══════╪══════╪══════════════╪════════╪════════╪══════════╡
    │ ai          ┆ FRA    ┆ small ┆ 2    ┆ 2            ┆ 2      ┆ 1      ┆ 0.561851 │
    │ transcoding ┆ FRA    ┆ null  ┆ 2    ┆ 2            ┆ 1      ┆ 0      ┆ 0.632121 │
    │ transcoding ┆ NYC    ┆ null  ┆ 2    ┆ 2            ┆ 1      ┆ 1      ┆ 0.0      │
    └─────────────┴────────┴───────┴──────┴──────────────┴────────┴────────┴──────────┘
    """
    source = nw.from_native(events)
    parts = [_jobs(source, event_filter, job_type) for job_type in (AI, TRANSCODING)]
    return nw.concat(parts).select(*_COLUMNS).sort(*JOB_COLUMNS).to_native()


def _jobs(source: FrameT, event_filter: EventFilter, job_type: str) -> FrameT:
    jobs = scorable(apply_filter(source, EventFilter(job_type=job_type)), job_type)
    job = AI_KEYS if job_type == AI else ()
    group = ("region", *job)
    place = nw.col("score").round(SCORE_DECIMALS).rank("min", descending=True).over(*group).cast(nw.Int64())
    own = nw.col("orchestrator") == event_filter.orchestrator
    ranked = (
        score_groups(jobs, jobs, job_type, ("orchestrator", "region"))
        .with_columns(rank=place, ranked_count=nw.len().over(*group).cast(nw.Int64()))
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
            nw.col("orchestrator", "region", *AI_KEYS).cast(nw.String()),
        )
        .select(*_COLUMNS)
    )
