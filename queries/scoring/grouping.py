"""Scores of groups of events; each AI job is scored against the median of its own pipeline and model."""

from datetime import timedelta
from math import log

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.filters import AI
from queries.scoring import formulas
from queries.scoring.formula import Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.scored_events import AI_KEYS, MEASURES, timed
from queries.scoring.uncertainty.intervals import CENTRE_FIELDS, SQUARE_FIELDS, with_spreads
from queries.scoring.uncertainty.moments import products

SCORE_DECIMALS = 12
"""Scores that agree in so many decimals count as equal: means differ in their last bits between computations."""


def score_groups(
    selected: NarwhalsFrame,
    network: NarwhalsFrame,
    job_type: str,
    formula: Formula,
    group_columns: tuple[str, ...],
    median_columns: tuple[str, ...] = (),
    *,
    spreads: bool = False,
) -> NarwhalsFrame:
    """One row per ``group_columns``, pipeline and model of the ``selected`` events.

    Both frames are of ``scored_events``. AI jobs are scored against the median
    over the ``network``'s events with the same pipeline, model and
    ``median_columns``. Columns: the group's, pipeline, model, events (scored
    ones), succeeded and unscored (Int64), last_seen (Datetime), the sums and
    means of the measures and the quality, quality_events (Int64),
    median_round_trip_time, round_trip_score, score. The means and scores are
    null without scored events. For transcoding, pipeline, model, the quality and the median are
    null; for AI the median is null where no job succeeded. With ``spreads``
    also the columns that intervals of scores are made of, see ``with_spreads``.
    """
    keys = (*group_columns, *AI_KEYS) if job_type == AI else group_columns
    groups = _aggregate(selected, job_type, formula, keys, products(job_type) if spreads else {})
    if job_type == AI:
        median_keys = [*median_columns, *AI_KEYS]
        medians = timed(network, job_type, formula).group_by(*median_keys).agg(formulas.median_round_trip_time())
        scores = formulas.with_ai_scores(groups.join(medians, on=median_keys, how="left"), formula)
        return with_spreads(scores, job_type, formula) if spreads else scores
    ai_columns = {
        **{name: nw.String() for name in AI_KEYS},
        **{name: nw.Float64() for name in ("sum_quality", "median_round_trip_time")},
        "quality_events": nw.Int64(),
    }
    nulls = [nw.lit(None).cast(dtype).alias(name) for name, dtype in ai_columns.items()]
    scores = formulas.with_transcoding_scores(groups.with_columns(*nulls), formula)
    return with_spreads(scores, job_type, formula) if spreads else scores


def describe_jobs(scores: NarwhalsFrame, job_type: str, formula: Formula, *text_columns: str) -> NarwhalsFrame:
    """Rows of scores with job_type and failed, with round_trip_time as ``seconds`` has it, and with plain text."""
    return scores.with_columns(
        nw.lit(job_type).alias("job_type"),
        (nw.col("events") - nw.col("succeeded")).alias("failed"),
        formulas.seconds(formula).alias("round_trip_time"),
        # categorical columns of different frames cannot be concatenated
        nw.col(*text_columns, *AI_KEYS).cast(nw.String()),
    )


def mean_over_models(scores: NarwhalsFrame, *, spreads: bool = False) -> NarwhalsFrame:
    """One row per orchestrator and region: the means of its jobs' scores, weighted by their events."""
    fields, squares = ((*SCORE_FIELDS, *CENTRE_FIELDS), SQUARE_FIELDS) if spreads else (SCORE_FIELDS, ())
    weighted = scores.with_columns(weight=nw.when(~nw.col("score").is_null()).then(nw.col("events")))
    weighted = weighted.with_columns(
        *(nw.col(field) * nw.col("weight") for field in fields),
        *(nw.col(square) * nw.col("weight") * nw.col("weight") for square in squares),
    )
    sums = weighted.group_by("orchestrator", "region").agg(
        nw.col(*fields, *squares, "weight").sum(),
        nw.col("events", "succeeded", "unscored").sum().cast(nw.Int64()),
        nw.col("last_seen").max(),
    )
    sums = sums.with_columns(total=nw.when(nw.col("weight") > 0).then(nw.col("weight")))
    return sums.with_columns(
        *(nw.col(field) / nw.col("total") for field in fields),
        *(nw.col(square) / nw.col("total") / nw.col("total") for square in squares),
    )


def with_means(sums: NarwhalsFrame, names: tuple[str, ...]) -> NarwhalsFrame:
    """Adds the means of these measures to a frame of counts and sums."""
    totals = {name: "quality_events" if name == "quality" else "events" for name in names}
    return sums.with_columns(*(_divide(f"sum_{name}", total, name) for name, total in totals.items()))


def _aggregate(
    events: NarwhalsFrame, job_type: str, formula: Formula, keys: tuple[str, ...], products: dict[str, nw.Expr]
) -> NarwhalsFrame:
    """The counts, sums and means of the events by ``keys``, and the means of the ``products``.

    With products also effective_events (Float64): how many events of equal
    weight would tell as much, null for none.
    """
    names = (*MEASURES, "quality") if job_type == AI else MEASURES
    aggregations = [*formulas.counts(), *formulas.sums(names)]
    if formula.half_life is None:
        means_of_products = (value.mean().alias(name) for name, value in products.items())
        groups = events.group_by(*keys).agg(*aggregations, *means_of_products)
        if products:
            effective_events = nw.when(nw.col("events") > 0).then(nw.col("events").cast(nw.Float64()))
            groups = groups.with_columns(effective_events=effective_events)
        return with_means(groups, names)
    values = {name: formulas.counted_value(name) for name in names} | products
    timed_events = events.with_columns(seconds=event_seconds())
    weighted = timed_events.with_columns(weight=_weight(formula.half_life, keys)).with_columns(
        *(nw.when(~value.is_null()).then(nw.col("weight")).alias(f"weight_{name}") for name, value in values.items()),
        *((value * nw.col("weight")).alias(f"weighted_{name}") for name, value in values.items()),
    )
    weighted = weighted.with_columns(squared_weight=nw.col("weight_success_rate") * nw.col("weight_success_rate"))
    weighted_sums = nw.col(*(f"{prefix}_{name}" for prefix in ("weight", "weighted") for name in values)).sum()
    groups = weighted.group_by(*keys).agg(*aggregations, weighted_sums, nw.col("squared_weight").sum())
    total = nw.col("weight_success_rate")
    return groups.with_columns(
        *(_divide(f"weighted_{name}", f"weight_{name}", name) for name in values),
        effective_events=nw.when(total > 0).then(total * total / nw.col("squared_weight")),
    )


def _weight(half_life: timedelta, keys: tuple[str, ...]) -> nw.Expr:
    """What an event counts: 1 for the newest scored one of its group, and half after each half-life before it."""
    # relative to the group, as not all of its weights may be too small for a float
    newest = nw.when(~nw.col("success_rate").is_null()).then(nw.col("seconds")).max().over(*keys)
    return (log(2) / half_life.total_seconds() * (nw.col("seconds") - newest)).exp()


def event_seconds() -> nw.Expr:
    """The event_time in seconds since the year 1, to a few microseconds. Spark has no differences of times."""
    time = nw.col("event_time").dt
    years = time.year() - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 + time.ordinal_day()
    whole = ((days * 24 + time.hour()) * 60 + time.minute()) * 60 + time.second()
    return whole.cast(nw.Float64()) + time.microsecond() / 1e6


def _divide(total: str, count: str, name: str) -> nw.Expr:
    """A mean as ``name``, null where nothing was counted."""
    return nw.when(nw.col(count) > 0).then(nw.col(total) / nw.col(count)).alias(name)
