"""What each job costs of a score: how much failures take from it, and how much slowness or low quality."""

import polars as pl

from queries.filters import AI
from queries.scoring.formula import Formula
from queries.scoring.grouping import SCORE_DECIMALS

FAILURES, SLOWNESS, QUALITY = "failures", "slowness", "quality"
COLUMN_OF_CAUSE = {FAILURES: "failure_cost", SLOWNESS: "slowness_cost", QUALITY: "quality_cost"}
COST_FIELDS = tuple(COLUMN_OF_CAUSE.values())
KEY_COLUMNS = ("region", "pipeline", "model")
"""The columns that tell one job of an orchestrator from its others. Pipeline and model are null for transcoding."""
BEST_TENTH = 0.1
"""The quantile of costs that the best tenth of the orchestrators stays below."""

_CAUSES = {"cause": pl.String, "cost": pl.Float64, "median": pl.Float64, "best_tenth": pl.Float64}
_COLUMNS = (
    *(*KEY_COLUMNS, "weight", "events", "failed", "unscored", "rank", "ranked_count"),
    *("success_rate", "round_trip_score", "score", "round_trip_time", "median_round_trip_time", "cost", *COST_FIELDS),
    *(f"median_{name}" for name in COST_FIELDS),
    *(f"best_tenth_{name}" for name in COST_FIELDS),
    *("median_round_trip_score", "rated_success"),
)


def highest_score(job_type: str, formula: Formula) -> float:
    """What a job scores that never fails and takes no time: 1 by a released formula."""
    return formula.success_weight + formula.round_trip_weight if job_type == AI else 1.0


def score(success: float, round_trip_score: float, job_type: str, formula: Formula) -> float:
    """The score of a job by its two parts."""
    if job_type != AI:
        return success * round_trip_score
    return formula.success_weight * success + formula.round_trip_weight * round_trip_score if success else 0.0


def score_weight() -> pl.Expr:
    """The part of a row with a score in the score of its orchestrator: regions count the same, jobs as their events."""
    in_region = pl.col("events").sum().over("orchestrator", "region")
    return pl.col("events") / in_region / pl.col("region").n_unique().over("orchestrator")


def with_losses(groups: pl.DataFrame, job_type: str, formula: Formula) -> pl.DataFrame:
    """Adds COST_FIELDS of each row's own score, weight and rated_success.

    ``groups`` has the rows of ``score_groups`` with a score, with ``live``
    (Boolean). ``weight`` is the part of the row in its orchestrator's score;
    these add up to 1. ``rated_success`` is the success rate of the live
    streams with a quality.
    """
    losses = _transcoding_losses() if job_type != AI else _ai_losses(formula)
    return groups.with_columns(weight=score_weight(), rated_success=_rated_success()).with_columns(**losses)


def total_costs(losses: pl.DataFrame) -> pl.DataFrame:
    """One row per orchestrator: its score, as ``ranking`` has it, and COST_FIELDS of that. See ``with_losses``."""
    weighted = pl.col("score", *COST_FIELDS) * pl.col("weight")
    return losses.group_by("orchestrator").agg(weighted.sum())


def causes(totals: pl.DataFrame, orchestrator: str) -> pl.DataFrame:
    """One row per cause: cause, cost, median, best_tenth; see ``explanation``. ``totals`` of all."""
    own = totals.filter(pl.col("orchestrator") == orchestrator)
    if own.is_empty():
        return pl.DataFrame(schema=_CAUSES)
    rows = [
        {
            "cause": cause,
            "cost": own[name].item(),
            "median": totals[name].median(),
            "best_tenth": totals[name].quantile(BEST_TENTH, "linear"),
        }
        for cause, name in COLUMN_OF_CAUSE.items()
    ]
    return pl.DataFrame(rows, schema=_CAUSES)


def own_jobs(losses: pl.DataFrame, orchestrator: str) -> pl.DataFrame:
    """One row per job and region of the orchestrator, the one that costs most first; see ``explanation``.

    ``losses`` are those of all orchestrators.
    """
    own = pl.col("orchestrator") == orchestrator
    keys = losses.filter(own).select(KEY_COLUMNS)
    peers = losses.join(keys, on=KEY_COLUMNS, how="semi", nulls_equal=True)
    by_job = peers.group_by(KEY_COLUMNS).agg(
        pl.col(*COST_FIELDS, "round_trip_score").median().name.prefix("median_"),
        pl.col(COST_FIELDS).quantile(BEST_TENTH, "linear").name.prefix("best_tenth_"),
        pl.len().cast(pl.Int64).alias("ranked_count"),
    )
    rank = pl.col("score").round(SCORE_DECIMALS).rank("min", descending=True).over(KEY_COLUMNS)
    rows = peers.with_columns(rank=rank.cast(pl.Int64)).filter(own)
    return (
        rows.join(by_job, on=KEY_COLUMNS, nulls_equal=True)
        .with_columns(pl.selectors.ends_with("_cost") * pl.col("weight"), failed=pl.col("events") - pl.col("succeeded"))
        .with_columns(cost=pl.sum_horizontal(COST_FIELDS))
        .select(_COLUMNS)
        .sort("cost", *KEY_COLUMNS, descending=[True, False, False, False])
    )


def _transcoding_losses() -> dict[str, pl.Expr]:
    success, speed = pl.col("success_rate"), pl.col("round_trip_score")
    return {"failure_cost": 1 - success, "slowness_cost": success * (1 - speed), "quality_cost": pl.lit(0.0)}


def _ai_losses(formula: Formula) -> dict[str, pl.Expr]:
    success, speed, live, rated = (
        pl.col(name) for name in ("success_rate", "round_trip_score", "live", "rated_success")
    )
    by_success, by_speed = formula.success_weight * (1 - success), formula.round_trip_weight * (1 - speed)
    by_failed_streams = formula.round_trip_weight * (1 - rated)
    some = success > 0
    return {
        "failure_cost": pl.when(~some)
        .then(highest_score(AI, formula))
        .otherwise(by_success + pl.when(live).then(by_failed_streams).otherwise(0.0)),
        "slowness_cost": pl.when(some & ~live).then(by_speed).otherwise(0.0),
        "quality_cost": pl.when(some & live).then(by_speed - by_failed_streams).otherwise(0.0),
    }


def _rated_success() -> pl.Expr:
    # a stream without a quality succeeded
    rated = 1 - (1 - pl.col("success_rate")) * pl.col("events") / pl.col("quality_events")
    known = pl.when(pl.col("quality_events") > 0).then(rated.clip(pl.col("round_trip_score"), 1.0)).otherwise(1.0)
    return pl.when(pl.col("live")).then(known)
