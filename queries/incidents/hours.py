"""Events by the hour: how each orchestrator did, and when each tester posted. Every engine can sum them up."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.schema import NO_ERRORS
from queries.scoring.formula import LIVE_PIPELINE

SLOW_FACTOR = 2.0
"""A job is slow if it took so many times as long as usual."""
MIN_TIMED_JOBS = 3
"""With fewer successful jobs of an orchestrator, nobody knows how long they usually take."""
MIN_QUALITY = 0.01
"""Of a live stream. One of half the quality counts as one that took twice as long."""

_ORCHESTRATOR = ("region", "job_type", "orchestrator")
_JOB = (*_ORCHESTRATOR, "pipeline_slug", "model")


def orchestrator_hours(events: NarwhalsFrame) -> NarwhalsFrame:
    """One row per region, job type, orchestrator and hour with results that are scored.

    Columns: region, job_type, orchestrator (text); hour (Datetime); results;
    failures, of these; timed, the successful jobs of which the usual time is
    known; slow, those of them that took SLOW_FACTOR times as long (Int64);
    first_failure, last_failure, first_slow, last_slow (Datetime).

    The usual time is the median of the same orchestrator's jobs, in the same
    region, of the same pipeline and model.
    """
    jobs = _scored_jobs(events)
    usual = nw.col("seconds").median().over(*_JOB)
    known = nw.col("seconds").count().over(*_JOB) >= MIN_TIMED_JOBS
    jobs = jobs.with_columns(ratio=nw.when(known).then(nw.col("seconds") / usual))
    time = nw.col("event_time")
    failed, slow = nw.col("success_rate") < 1, (nw.col("ratio") >= SLOW_FACTOR).fill_null(value=False)
    marked = jobs.with_columns(
        failed=failed.cast(nw.Int64()),
        slow=slow.cast(nw.Int64()),
        failure_time=nw.when(failed).then(time),
        slow_time=nw.when(slow).then(time),
    )
    return marked.group_by(*_ORCHESTRATOR, "hour").agg(
        nw.len().cast(nw.Int64()).alias("results"),
        # DuckDB's sum of integers is a decimal
        nw.col("failed").sum().cast(nw.Int64()).alias("failures"),
        nw.col("ratio").count().cast(nw.Int64()).alias("timed"),
        nw.col("slow").sum().cast(nw.Int64()),
        nw.col("failure_time").min().alias("first_failure"),
        nw.col("failure_time").max().alias("last_failure"),
        nw.col("slow_time").min().alias("first_slow"),
        nw.col("slow_time").max().alias("last_slow"),
    )


def tester_hours(events: NarwhalsFrame) -> NarwhalsFrame:
    """One row per region, job type and hour with results.

    Columns: region, job_type (text), first, last (Datetime, of the results),
    and results (Int64).
    """
    time = nw.col("event_time")
    by_hour = events.with_columns(hour=time.dt.truncate("1h")).group_by("region", "job_type", "hour")
    counts = by_hour.agg(
        time.min().alias("first"), time.max().alias("last"), nw.len().cast(nw.Int64()).alias("results")
    )
    return counts.drop("hour")


def _scored_jobs(events: NarwhalsFrame) -> NarwhalsFrame:
    """The events that say how an orchestrator did. ``seconds`` is null where the job took none, or did not succeed."""
    unscored = nw.col("outcome").cast(nw.String()).str.starts_with("unscored").fill_null(value=False)
    is_live = (nw.col("pipeline_slug").cast(nw.String()) == LIVE_PIPELINE).fill_null(value=False)
    succeeded, time = nw.col("success_rate") >= 1, nw.col("round_trip_time")
    is_double_post = is_live & succeeded & (nw.col("error_kind").cast(nw.String()) != NO_ERRORS)
    inverse_quality = nw.when(succeeded & time.is_between(MIN_QUALITY, 1)).then(1 / time)
    return events.filter(~unscored, ~is_double_post).select(
        *_JOB,
        "event_time",
        "success_rate",
        hour=nw.col("event_time").dt.truncate("1h"),
        seconds=nw.when(is_live).then(inverse_quality).otherwise(nw.when(succeeded & (time > 0)).then(time)),
    )
