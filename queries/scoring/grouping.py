"""Scores of groups of events; each AI job is scored against the median of its own pipeline and model."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame
from queries.filters import AI
from queries.scoring import formulas

AI_KEYS = ("pipeline", "model")
"""The columns that name an AI job."""
SCORE_FIELDS = ("success_rate", "round_trip_score", "score")
SCORE_DECIMALS = 12
"""Scores that agree in so many decimals count as equal: means differ in their last bits between computations."""


def scorable(events: NarwhalsFrame, job_type: str) -> NarwhalsFrame:
    """The events of one job type that can be scored: AI events must name a pipeline and a model."""
    if job_type != AI:
        return events
    return events.filter(~nw.col("pipeline").is_null(), ~nw.col("model").is_null())


def score_groups(
    events: NarwhalsFrame,
    selected: NarwhalsFrame,
    job_type: str,
    group_columns: tuple[str, ...],
    median_columns: tuple[str, ...] = (),
) -> NarwhalsFrame:
    """One row per ``group_columns``, pipeline and model of the ``selected`` events, all of one job type.

    AI jobs are scored against the median over all ``events`` with the same
    pipeline, model and ``median_columns``. Columns: the group's, pipeline,
    model, events and succeeded (Int64), last_seen (Datetime), the sums and
    means of the measures, median_round_trip_time, round_trip_score, score.
    For transcoding, pipeline, model and the median are null; for AI the median
    is null where no job succeeded.
    """
    aggregations = (
        nw.len().cast(nw.Int64()).alias("events"),
        # DuckDB's sum of integers is a decimal
        formulas.succeeded().cast(nw.Int64()).sum().cast(nw.Int64()).alias("succeeded"),
        nw.col("event_time").max().alias("last_seen"),
        *formulas.sums(),
    )
    if job_type == AI:
        sums = selected.group_by(*group_columns, *AI_KEYS).agg(*aggregations)
        means = sums.with_columns(*formulas.means_of_sums())
        median_keys = [*median_columns, *AI_KEYS]
        medians = events.filter(formulas.successful()).group_by(*median_keys).agg(formulas.median_round_trip_time())
        return formulas.with_ai_scores(means.join(medians, on=median_keys, how="left"))
    ai_columns = {"pipeline": nw.String(), "model": nw.String(), "median_round_trip_time": nw.Float64()}
    nulls = [nw.lit(None).cast(dtype).alias(name) for name, dtype in ai_columns.items()]
    means = selected.group_by(*group_columns).agg(*aggregations).with_columns(*formulas.means_of_sums())
    return formulas.with_transcoding_scores(means.with_columns(*nulls))
