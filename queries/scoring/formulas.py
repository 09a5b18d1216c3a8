"""The formulas of the scores, as expressions that run on any engine.

Their source is the scorer of the service that this one replaces; the weights
and the score at the median are its constants.

Over the scored events of one orchestrator, region and job, with s, d and t the
means of success_rate, seg_duration and round_trip_time, q the mean of quality,
and m the median round trip time of the network's successful jobs:

    transcoding  round_trip_score = 1 − e^(−d/t)          0 where t = 0
                 score = s · round_trip_score             0 where s = 0
    AI           round_trip_score = e^(−k·t), k = −ln(0.8)/m   0 where there is no m
                 score = 0.65·s + 0.35·round_trip_score   0 where s = 0
    live video   round_trip_score = q                     0 where no event tells the quality
                 score as for AI

So a job as fast as the network's median has a round_trip_score of 0.8.
"""

from math import log

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.schema import slug
from queries.scoring.formula import LIVE_PIPELINE, Formula

SCORE_FIELDS = ("success_rate", "round_trip_score", "score")


def counts() -> list[nw.Expr]:
    """Aggregations: events (scored ones), succeeded and unscored (Int64), and last_seen of all."""
    return [
        event_count(),
        # DuckDB's sum of integers is a decimal
        succeeded().cast(nw.Int64()).sum().cast(nw.Int64()).alias("succeeded"),
        nw.col("success_rate").is_null().cast(nw.Int64()).sum().cast(nw.Int64()).alias("unscored"),
        nw.col("event_time").max().alias("last_seen"),
    ]


def event_count() -> nw.Expr:
    """Aggregation: events (Int64), the number of scored ones."""
    return nw.col("success_rate").count().cast(nw.Int64()).alias("events")


def sums(values: tuple[str, ...]) -> list[nw.Expr]:
    """Aggregations: the sums of these columns, as sum_success_rate and so on.

    With ``quality`` also quality_events (Int64), the number of events whose quality is known.
    """
    totals = [counted_value(name).sum().alias(f"sum_{name}") for name in values]
    if "quality" in values:
        totals.append(nw.col("quality").count().cast(nw.Int64()).alias("quality_events"))
    return totals


def counted_value(name: str) -> nw.Expr:
    """A measure or the quality. A success_rate above 1 is 1: a tester with too few renditions set up posts more."""
    return nw.col(name).clip(upper_bound=1.0) if name == "success_rate" else nw.col(name)


def median_round_trip_time() -> nw.Expr:
    """Aggregation: the median round trip time in seconds (m above), by linear interpolation.

    Aggregate the events of ``timed``.
    """
    return nw.col("round_trip_time").median().alias("median_round_trip_time")


def succeeded() -> nw.Expr:
    """Whether the whole job succeeded. A success_rate above 1 counts as success."""
    return nw.col("success_rate") >= 1


def with_transcoding_scores(means: NarwhalsFrame, formula: Formula) -> NarwhalsFrame:
    """Adds round_trip_score and score (Float64, 0..1) to a frame that has the means."""
    time = nw.col("round_trip_time")
    round_trip_score = _or_zero(time != 0, 1 - (-nw.col("seg_duration") / time).exp())
    return _with_scores(means, formula, round_trip_score, nw.col("success_rate") * nw.col("round_trip_score"))


def with_ai_scores(means: NarwhalsFrame, formula: Formula) -> NarwhalsFrame:
    """Adds round_trip_score and score (Float64, 0..1) to a frame that has the means and median_round_trip_time."""
    # −k·t as ln(0.8)·(t/m), which is finite or −∞ however small m is
    ratio = nw.col("round_trip_time") / nw.col("median_round_trip_time")
    speed = (log(formula.score_at_median) * ratio).exp()
    round_trip_score = _or_zero(~nw.col("median_round_trip_time").is_null(), speed)
    if formula.rates_live_video:
        quality = _or_zero(~nw.col("quality").is_null(), nw.col("quality"))
        round_trip_score = nw.when(is_live()).then(quality).otherwise(round_trip_score)
    weighted = formula.success_weight * nw.col("success_rate") + formula.round_trip_weight * nw.col("round_trip_score")
    return _with_scores(means, formula, round_trip_score, weighted)


def seconds(formula: Formula) -> nw.Expr:
    """The mean round trip time of a row, null for live video where the formula knows of its quality."""
    time = nw.col("round_trip_time")
    return nw.when(~is_live().fill_null(value=False)).then(time) if formula.rates_live_video else time


def is_live() -> nw.Expr:
    """Whether ``pipeline``, in any spelling, is live video."""
    return slug(nw.col("pipeline")) == LIVE_PIPELINE


def _with_scores(means: NarwhalsFrame, formula: Formula, round_trip_score: nw.Expr, score: nw.Expr) -> NarwhalsFrame:
    # in two steps: narwhals plans an expression that contains another one slowly
    scores = means.with_columns(round_trip_score.alias("round_trip_score")).with_columns(
        _or_zero(nw.col("success_rate") != 0, score).alias("score")
    )
    enough = nw.col("events") >= formula.min_events
    return scores.with_columns(*(nw.when(enough).then(nw.col(name)).alias(name) for name in SCORE_FIELDS))


def _or_zero(condition: nw.Expr, value: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(value).otherwise(nw.lit(0.0))
