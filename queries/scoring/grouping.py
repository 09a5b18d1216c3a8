"""Events scored by the job they were of, each AI job against its own median."""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import FrameT

from queries.filters import AI
from queries.scoring import formulas

AI_KEYS = ("pipeline", "model")
"""What AI jobs are scored by."""
SCORE_FIELDS = ("success_rate", "round_trip_score", "score")


def scorable(events: FrameT, job_type: str) -> FrameT:
    """Those events of one job type that can be scored: AI jobs that name neither pipeline nor model cannot."""
    if job_type != AI:
        return events
    return events.filter(~nw.col("pipeline").is_null(), ~nw.col("model").is_null())


def score_groups(
    events: FrameT, chosen: FrameT, job_type: str, by: tuple[str, ...], within: tuple[str, ...] = ()
) -> FrameT:
    """One row per ``by``, pipeline and model of the ``chosen`` among the events of one job type.

    AI jobs are scored against the median over all ``events`` with the same
    pipeline, model and ``within``. Columns: those of ``by``, pipeline, model,
    events and succeeded (Int64), last_seen, the sums and means of the measures,
    median_round_trip_time, round_trip_score, score. pipeline, model and the
    median are null for transcoding, and the median where no job succeeded.
    """
    aggregations = (
        nw.len().cast(nw.Int64()).alias("events"),
        # DuckDB's sum of integers is a decimal
        formulas.succeeded().cast(nw.Int64()).sum().cast(nw.Int64()).alias("succeeded"),
        nw.col("event_time").max().alias("last_seen"),
        *formulas.sums(),
    )
    if job_type == AI:
        means = chosen.group_by(*by, *AI_KEYS).agg(*aggregations).with_columns(*formulas.means_of_sums())
        medians = (
            events.filter(formulas.successful()).group_by(*within, *AI_KEYS).agg(formulas.median_round_trip_time())
        )
        return formulas.with_ai_scores(means.join(medians, on=[*within, *AI_KEYS], how="left"))
    absent = {"pipeline": nw.String(), "model": nw.String(), "median_round_trip_time": nw.Float64()}
    nothing = [nw.lit(None).cast(dtype).alias(name) for name, dtype in absent.items()]
    means = chosen.group_by(*by).agg(*aggregations).with_columns(*formulas.means_of_sums())
    return formulas.with_transcoding_scores(means.with_columns(*nothing))
