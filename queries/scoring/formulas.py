"""The formulas of the scores, as expressions that run on any engine.

Their source is the scorer of the service that this one replaces; the weights
and the score at the median are its constants.

Over the events of one orchestrator in one region, with s, d and t the means of
success_rate, seg_duration and round_trip_time, and m the median round trip
time of the network's successful jobs:

    transcoding  round_trip_score = 1 − e^(−d/t)          0 where t = 0
                 score = s · round_trip_score             0 where s = 0
    AI           round_trip_score = e^(−k·t), k = −ln(0.8)/m   0 where there is no m
                 score = 0.65·s + 0.35·round_trip_score   0 where s = 0

So a job as fast as the network's median has a round_trip_score of 0.8.
"""

from math import log

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame

MEASURES = ("success_rate", "round_trip_time", "seg_duration")
AI_SUCCESS_WEIGHT = 0.65
AI_ROUND_TRIP_WEIGHT = 0.35
AI_ROUND_TRIP_SCORE_AT_MEDIAN = 0.8


def means() -> list[nw.Expr]:
    """Aggregations: the mean of each measure. A success_rate above 1 counts as 1.

    A tester that is set up with too few renditions posts a success_rate above 1.
    """
    return [measure.mean() for measure in _measures()]


def sums() -> list[nw.Expr]:
    """Aggregations: the sums that ``means`` divides, as sum_success_rate and so on."""
    return [measure.sum().name.prefix("sum_") for measure in _measures()]


def means_of_sums() -> list[nw.Expr]:
    """The means, from the sums and the number of ``events``: half the work of aggregating both."""
    return [(nw.col(f"sum_{name}") / nw.col("events")).alias(name) for name in MEASURES]


def median_round_trip_time() -> nw.Expr:
    """Aggregation: the median round trip time in seconds (m above), by linear interpolation.

    Aggregate the events that ``successful`` keeps.
    """
    return nw.col("round_trip_time").median().alias("median_round_trip_time")


def successful() -> nw.Expr:
    """Whether an event counts towards the network's median: it succeeded, and its time is not 0."""
    return (nw.col("success_rate") == 1) & (nw.col("round_trip_time") != 0)


def succeeded() -> nw.Expr:
    """Whether the whole job succeeded. A success_rate above 1 counts as success."""
    return nw.col("success_rate") >= 1


def with_transcoding_scores(means: NarwhalsFrame) -> NarwhalsFrame:
    """Adds round_trip_score and score (Float64, 0..1) to a frame that has the means."""
    seconds = nw.col("round_trip_time")
    round_trip_score = _or_zero(seconds != 0, 1 - (-nw.col("seg_duration") / seconds).exp())
    return _with_scores(means, round_trip_score, nw.col("success_rate") * nw.col("round_trip_score"))


def with_ai_scores(means: NarwhalsFrame) -> NarwhalsFrame:
    """Adds round_trip_score and score (Float64, 0..1) to a frame that has the means and median_round_trip_time."""
    # −k·t as ln(0.8)·(t/m), which is finite or −∞ however small m is
    ratio = nw.col("round_trip_time") / nw.col("median_round_trip_time")
    speed = (log(AI_ROUND_TRIP_SCORE_AT_MEDIAN) * ratio).exp()
    round_trip_score = _or_zero(~nw.col("median_round_trip_time").is_null(), speed)
    weighted = AI_SUCCESS_WEIGHT * nw.col("success_rate") + AI_ROUND_TRIP_WEIGHT * nw.col("round_trip_score")
    return _with_scores(means, round_trip_score, weighted)


def _measures() -> list[nw.Expr]:
    return [nw.col(name).clip(upper_bound=1.0) if name == "success_rate" else nw.col(name) for name in MEASURES]


def _with_scores(means: NarwhalsFrame, round_trip_score: nw.Expr, score: nw.Expr) -> NarwhalsFrame:
    # in two steps: narwhals plans an expression that contains another one slowly
    return means.with_columns(round_trip_score.alias("round_trip_score")).with_columns(
        _or_zero(nw.col("success_rate") != 0, score).alias("score")
    )


def _or_zero(condition: nw.Expr, value: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(value).otherwise(nw.lit(0.0))
