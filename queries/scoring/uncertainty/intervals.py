"""Intervals of scores, from those of their parts."""

from math import log

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.filters import AI
from queries.scoring.formula import Formula
from queries.scoring.formulas import is_live
from queries.scoring.uncertainty.moments import inverse, square_root
from queries.scoring.uncertainty.quality import with_quality_interval
from queries.scoring.uncertainty.success import with_success_interval
from queries.scoring.uncertainty.time import with_time_interval

CENTRE_FIELDS = ("low_centre", "high_centre")
"""The scores from which the ends of the interval are measured. Means of scores have the means of these."""
SQUARE_FIELDS = ("low_square", "high_square")
"""The squared distances of the ends from these. Sums of weighted scores have the sums of these with squared weights."""


def with_spreads(groups: NarwhalsFrame, job_type: str, formula: Formula) -> NarwhalsFrame:
    """Adds CENTRE_FIELDS and SQUARE_FIELDS (Float64) to a frame of ``score_groups``, null where the score is.

    The frame has the means of ``products``, and effective_events (Float64), the
    number of events or Kish's with weights. Variances are pooled over all rows
    of a pipeline and model.
    """
    groups = with_time_interval(with_success_interval(groups), job_type)
    groups = _with_spreads_by_time(groups, job_type, formula)
    if job_type == AI and formula.rates_live_video:
        groups = _with_spreads_by_quality(with_quality_interval(groups), formula)
    scored = ~nw.col("score").is_null()
    return groups.with_columns(
        *(nw.when(scored).then(nw.col(name)).alias(name) for name in (*CENTRE_FIELDS, *SQUARE_FIELDS))
    )


def interval_ends() -> list[nw.Expr]:
    """score_ci_low and score_ci_high (Float64, 0..1) of a frame with the score, CENTRE_FIELDS and SQUARE_FIELDS."""
    low = (nw.col("low_centre") - square_root(nw.col("low_square"))).clip(lower_bound=0.0)
    high = (nw.col("high_centre") + square_root(nw.col("high_square"))).clip(upper_bound=1.0)
    # the centres may differ from the score in the last bit
    return [
        nw.min_horizontal(low, nw.col("score")).alias("score_ci_low"),
        nw.max_horizontal(high, nw.col("score")).alias("score_ci_high"),
    ]


def _with_spreads_by_time(groups: NarwhalsFrame, job_type: str, formula: Formula) -> NarwhalsFrame:
    """Adds CENTRE_FIELDS and SQUARE_FIELDS of transcoding, or of AI jobs that are scored by their time."""

    def score(success: nw.Expr, load: str) -> nw.Expr:
        if job_type == AI:
            speed = (log(formula.score_at_median) * nw.col(load)).exp().fill_null(0.0)
            return formula.success_weight * success + formula.round_trip_weight * speed
        return success * (1 - (-inverse(nw.col(load))).exp()).fill_null(0.0)

    success = nw.col("success_rate")
    groups = groups.with_columns(
        high_centre=score(success, "load"),
        low_centre=nw.when(success > 0).then(score(success, "load_middle")).otherwise(nw.lit(0.0)),
        at_success_low=score(nw.col("success_low"), "load_at_success_low"),
        at_success_high=score(nw.col("success_high"), "load_at_success_high"),
        at_load_low=score(success, "load_low"),
        at_load_high=score(success, "load_high"),
    )
    centre, high_end = nw.col("high_centre"), nw.col("at_success_high")
    if job_type != AI:
        # failed jobs alone say nothing about the speed, nor do those without a time or a duration
        high_end = nw.when(centre > 0).then(high_end).otherwise(nw.col("success_high"))
    low_square = _square(centre - nw.col("at_success_low")) + _square(nw.col("low_centre") - nw.col("at_load_high"))
    return groups.with_columns(
        low_square=nw.when(success > 0).then(low_square).otherwise(nw.lit(0.0)),
        high_square=_square(high_end - centre) + _square(nw.col("at_load_low") - centre),
    )


def _with_spreads_by_quality(groups: NarwhalsFrame, formula: Formula) -> NarwhalsFrame:
    """Replaces CENTRE_FIELDS and SQUARE_FIELDS of live video."""
    success, weight = nw.col("success_rate"), formula.round_trip_weight
    rated = nw.col("rated_success")
    # what a success adds to the score: where none is known, it may be the best
    known = nw.when(success > 0).then((nw.col("quality") * inverse(success)).fill_null(0.0))
    groups = groups.with_columns(per_success=formula.success_weight + weight * known.fill_null(1.0), live=is_live())
    per_success, quality = nw.col("per_success"), nw.col("success_quality")
    spreads = {
        "low_centre": nw.col("score"),
        "high_centre": nw.col("score"),
        "low_square": _square(per_success * (success - nw.col("success_low")))
        + _square(weight * rated * (quality - nw.col("quality_low"))).fill_null(0.0),
        "high_square": _square(per_success * (nw.col("success_high") - success))
        + _square(weight * rated * (nw.col("quality_high") - quality)).fill_null(0.0),
    }
    return groups.with_columns(
        *(nw.when(nw.col("live")).then(spread).otherwise(nw.col(name)).alias(name) for name, spread in spreads.items())
    )


def _square(distance: nw.Expr) -> nw.Expr:
    """The square of a distance, 0 if that points the other way."""
    return distance.clip(lower_bound=0.0) ** 2
