"""The formulas of the scores, as expressions over any engine.

Their source is the scorer of the service that this one replaces; the weights
and the anchor below are its constants.

Over the events of one orchestrator in one region, with s, d and t the means of
success_rate, seg_duration and round_trip_time, and m the median round trip
time of the network's successful jobs:

    transcoding  round_trip_score = 1 − e^(−d/t)          0 where t = 0
                 score = s · round_trip_score             0 where s = 0
    AI           round_trip_score = e^(−k·t), k = −ln(0.8)/m   0 where there is no m
                 score = 0.65·s + 0.35·round_trip_score   0 where s = 0

So a job as fast as the network's median one earns 0.8 for its speed.
"""

from math import log

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import FrameT

MEASURES = ("success_rate", "round_trip_time", "seg_duration")
AI_SUCCESS_WEIGHT = 0.65
AI_ROUND_TRIP_WEIGHT = 0.35
AI_ROUND_TRIP_SCORE_AT_MEDIAN = 0.8


def means() -> list[nw.Expr]:
    """Aggregations: the mean of each measure, success_rate counting as 1 at most.

    A tester set up with too few renditions posts a success_rate above 1.
    """
    return [measure.mean() for measure in _measures()]


def sums() -> list[nw.Expr]:
    """Aggregations: the sum of each measure that ``means`` takes the mean of, as sum_success_rate and so on."""
    return [measure.sum().name.prefix("sum_") for measure in _measures()]


def means_of_sums() -> list[nw.Expr]:
    """The same means, of a frame that carries the sums and the number of ``events``: half the work of both."""
    return [(nw.col(f"sum_{name}") / nw.col("events")).alias(name) for name in MEASURES]


def median_round_trip_time() -> nw.Expr:
    """Aggregation: the median, by linear interpolation, of the round trip times in seconds (m above).

    Take it over the events that ``successful`` keeps.
    """
    return nw.col("round_trip_time").median().alias("median_round_trip_time")


def successful() -> nw.Expr:
    """Whether an event counts towards the network's median: it succeeded and took time."""
    return (nw.col("success_rate") == 1) & (nw.col("round_trip_time") != 0)


def succeeded() -> nw.Expr:
    """Whether all of a job succeeded; one that a tester counted more of than there was did too."""
    return nw.col("success_rate") >= 1


def with_transcoding_scores(means: FrameT) -> FrameT:
    """A frame that carries the means, with round_trip_score and score (Float64, 0..1) as well."""
    seconds = nw.col("round_trip_time")
    latency = _where(seconds != 0, 1 - (-nw.col("seg_duration") / seconds).exp())
    return _with(means, latency, nw.col("success_rate") * nw.col("round_trip_score"))


def with_ai_scores(means: FrameT) -> FrameT:
    """A frame that carries the means and median_round_trip_time, with round_trip_score and score (Float64, 0..1)."""
    # −k·t as ln(0.8)·(t/m), which is finite or −∞ however small m is
    ratio = nw.col("round_trip_time") / nw.col("median_round_trip_time")
    speed = (log(AI_ROUND_TRIP_SCORE_AT_MEDIAN) * ratio).exp()
    latency = _where(~nw.col("median_round_trip_time").is_null(), speed)
    weighted = AI_SUCCESS_WEIGHT * nw.col("success_rate") + AI_ROUND_TRIP_WEIGHT * nw.col("round_trip_score")
    return _with(means, latency, weighted)


def _measures() -> list[nw.Expr]:
    return [nw.col(name).clip(upper_bound=1.0) if name == "success_rate" else nw.col(name) for name in MEASURES]


def _with(means: FrameT, round_trip_score: nw.Expr, score: nw.Expr) -> FrameT:
    # one after the other, as narwhals takes long over an expression that holds another one
    return means.with_columns(round_trip_score.alias("round_trip_score")).with_columns(
        _where(nw.col("success_rate") != 0, score).alias("score")
    )


def _where(condition: nw.Expr, value: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(value).otherwise(nw.lit(0.0))
