"""The interval of a mean round trip time, and how the mean depends on success."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.filters import AI
from queries.scoring.scored_events import AI_KEYS
from queries.scoring.uncertainty.moments import (
    POOL_EVENTS,
    covariance,
    inverse,
    network_variance,
    pooled_variance,
    square_root,
    t_quantile,
)

DEFAULT_TIME_VARIANCE = 0.25
"""The relative variance of times that counts like one event of the network: half of the mean, squared."""
SLOPE_PRIOR = 0.02
"""The weight of the network's slope of time on success; that of an orchestrator's own is Σ(sᵢ−s)²."""
MIN_LOAD_SHARE = 1e-9
"""How low the regression may go, as a share of the mean: not to 0, by which transcoding divides."""


def with_time_interval(groups: NarwhalsFrame, job_type: str) -> NarwhalsFrame:
    """Adds the mean time as ``load``, its interval, and its values at the ends of the success rate's interval.

    The load is the mean round trip time, for AI jobs divided by the network's
    median, for transcoding by the mean seg_duration; null where there is none.
    Columns: load, load_low and load_high, load_middle (from which the distance to
    load_high is measured), load_at_success_low, load_at_success_high.
    """
    groups = _with_slope_and_variance(_with_relative_moments(groups, job_type))
    load, success = nw.col("load"), nw.col("success_rate")
    groups = groups.with_columns(
        variance_of_mean=nw.col("time_variance") * inverse(nw.col("effective_events")),
        quantile=t_quantile(nw.col("time_degrees") + POOL_EVENTS),
        # the times of failed jobs say nothing of successful ones, which may take no time at all
        slope=nw.when(success > 0).then(nw.col("time_slope")).otherwise(nw.lit(-1.0)),
    ).with_columns(distance=nw.col("quantile") * square_root(nw.col("variance_of_mean")))
    distance, variance, slope = nw.col("distance"), nw.col("variance_of_mean"), nw.col("slope")
    at_success = {
        f"load_at_{end}": load * (1 + slope * (nw.col(end) - success)).clip(lower_bound=MIN_LOAD_SHARE)
        for end in ("success_low", "success_high")
    }
    return groups.with_columns(
        load_low=load * (-distance).exp(),
        load_middle=load * variance.exp(),
        load_high=load * (distance + variance).exp(),
        **at_success,
    )


def _with_relative_moments(groups: NarwhalsFrame, job_type: str) -> NarwhalsFrame:
    """Adds load, time_square (the events' sum of squares) and time_covariance (with success), both relative to it."""
    names = ("round_trip_time",) if job_type == AI else ("round_trip_time", "seg_duration")
    positive = [nw.when(nw.col(name) > 0).then(nw.col(name)).alias(f"positive_{name}") for name in names]
    inverses = [inverse(nw.col(f"positive_{name}")).alias(f"per_{name}") for name in names]
    groups = groups.with_columns(*positive).with_columns(*inverses)
    success, seconds = nw.col("success_rate"), nw.col("positive_round_trip_time")
    per_second = nw.col("per_round_trip_time")
    square = covariance("time_time", seconds, seconds) * per_second * per_second
    with_success = covariance("success_time", success, seconds) * per_second
    if job_type == AI:
        load = nw.col("round_trip_time") * inverse(nw.col("median_round_trip_time"))
    else:
        duration, per_duration = nw.col("positive_seg_duration"), nw.col("per_seg_duration")
        load = seconds * per_duration
        # of the difference of the relative deviations of both
        square = square + covariance("duration_duration", duration, duration) * per_duration * per_duration
        square = square - 2 * covariance("time_duration", seconds, duration) * per_second * per_duration
        with_success = with_success - covariance("success_duration", success, duration) * per_duration
    return groups.with_columns(
        load.alias("load"),
        square.clip(lower_bound=0.0).fill_null(0.0).alias("time_square"),
        with_success.fill_null(0.0).alias("time_covariance"),
    )


def _with_slope_and_variance(groups: NarwhalsFrame) -> NarwhalsFrame:
    """Adds time_slope, of relative time on success, time_variance, which the slope leaves, and time_degrees."""
    square, with_success = nw.col("success_square"), nw.col("time_covariance")
    # the slope takes a degree of freedom where jobs differ in success
    parameters = nw.when(square > MIN_LOAD_SHARE).then(nw.lit(2.0)).otherwise(nw.lit(1.0))
    groups = groups.with_columns(
        own_slope=with_success * inverse(square + SLOPE_PRIOR),
        network_slope=with_success.sum().over(*AI_KEYS) * inverse(square.sum().over(*AI_KEYS) + 1),
        time_degrees=(nw.col("effective_events") - parameters).clip(lower_bound=0.0),
    )
    pulled = (with_success + SLOPE_PRIOR * nw.col("network_slope")) * inverse(square + SLOPE_PRIOR)
    groups = groups.with_columns(_residual("own_slope").alias("own_residual"), time_slope=pulled)
    groups = groups.with_columns(
        _residual("time_slope").alias("residual"),
        network_time_variance=network_variance("own_residual", "time_degrees", DEFAULT_TIME_VARIANCE),
    )
    return groups.with_columns(time_variance=pooled_variance("residual", "time_degrees", "network_time_variance"))


def _residual(slope: str) -> nw.Expr:
    """The relative sum of squares of the time that a slope on success leaves."""
    explained = nw.col(slope) * (2 * nw.col("time_covariance") - nw.col(slope) * nw.col("success_square"))
    return (nw.col("time_square") - explained).clip(lower_bound=0.0)
