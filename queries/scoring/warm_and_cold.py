"""Round trip times of groups of events, and how jobs fare on warm models and on cold ones.

A model is warm where it was loaded before the job came, and cold where it was not.
"""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.filters import AI
from queries.scoring import formulas
from queries.scoring.formula import Formula
from queries.scoring.scored_events import timed

TIME_COLUMNS = ("p50_round_trip_time", "p95_round_trip_time")
_STATE_COLUMNS = ("events", "success_rate", *TIME_COLUMNS)
WARM_COLUMNS = tuple(f"{state}_{name}" for state in ("warm", "cold") for name in _STATE_COLUMNS)
"""The columns of with_round_trip_times, first those of warm models, then those of cold ones."""


def with_round_trip_times(
    groups: NarwhalsFrame, jobs: NarwhalsFrame, job_type: str, formula: Formula, keys: tuple[str, ...]
) -> NarwhalsFrame:
    """Adds columns to ``groups``, which has one row per ``keys`` of the ``jobs``, the events of ``network_jobs``.

    - p50_round_trip_time, p95_round_trip_time (Float64, seconds, by linear
      interpolation): over the jobs of ``timed``; null without any
    - warm_events, cold_events (Int64): the scored events whose model was warm,
      or cold. An event that does not tell is in neither
    - warm_success_rate, cold_success_rate (Float64, 0..1): the mean
      success_rate of these events; null without any
    - the times of these events, as warm_p50_round_trip_time and so on

    Transcoding has no models, so all columns of WARM_COLUMNS are null.
    """
    timed_jobs = timed(jobs, job_type, formula)
    groups = groups.join(percentiles(timed_jobs, keys), on=list(keys), how="left")
    if job_type != AI:
        return groups.with_columns(*(nw.lit(None).cast(_dtype(name)).alias(name) for name in WARM_COLUMNS))
    by_state = [*keys, "warm"]
    states = (
        jobs.filter(~nw.col("warm").is_null())
        .with_columns(success_rate=formulas.counted_value("success_rate"))
        .group_by(*by_state)
        .agg(
            nw.col("success_rate").count().cast(nw.Int64()).alias("events"),
            nw.col("success_rate").mean().alias("success_rate"),
        )
        # apart, as percentiles are much faster over rows that all have a time
        .join(percentiles(timed_jobs, by_state), on=by_state, how="left")
    )
    side_by_side = states.select(*keys, *_columns_of("warm", nw.col("warm")), *_columns_of("cold", ~nw.col("warm")))
    one_row = side_by_side.group_by(*keys).agg(nw.col(*WARM_COLUMNS).max())
    counts = (nw.col(f"{state}_events").fill_null(0) for state in ("warm", "cold"))
    return groups.join(one_row, on=list(keys), how="left").with_columns(*counts)


def percentiles(timed_jobs: NarwhalsFrame, keys: tuple[str, ...] | list[str]) -> NarwhalsFrame:
    """The p50 and p95 round trip times, as TIME_COLUMNS, of each group of ``timed`` jobs."""
    seconds, (p50, p95) = nw.col("round_trip_time"), TIME_COLUMNS
    percentiles = (seconds.median().alias(p50), seconds.quantile(0.95, interpolation="linear").alias(p95))
    return timed_jobs.group_by(*keys).agg(*percentiles)


def _columns_of(state: str, is_so: nw.Expr) -> list[nw.Expr]:
    """The columns of one state under their names, null in the rows of the other one."""
    return [nw.when(is_so).then(nw.col(name)).alias(f"{state}_{name}") for name in _STATE_COLUMNS]


def _dtype(column: str) -> nw.dtypes.DType:
    return nw.Int64() if column.endswith("_events") else nw.Float64()
