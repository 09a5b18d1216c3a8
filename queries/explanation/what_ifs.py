"""Which score and rank an orchestrator would have if it did better, and the others as they did."""

from collections.abc import Iterable
from math import fsum
from operator import mul
from typing import Any

import polars as pl

from queries.engines import Schema
from queries.explanation.costs import KEY_COLUMNS, score
from queries.scoring.formula import Formula
from queries.scoring.grouping import SCORE_DECIMALS

GOOD_SUCCESS_RATE = 0.99
SUCCESS, SUCCESS_IN_WORST_JOB, MEDIAN_SPEED = CHANGES = ("success_99", "success_99_in_worst_job", "median_speed")

_SCHEMA: Schema = {
    "change": pl.String,
    **dict.fromkeys(KEY_COLUMNS, pl.String),
    "score": pl.Float64,
    "gain": pl.Float64,
    "rank": pl.Int64,
}

Job = dict[str, Any]


def what_ifs(jobs: pl.DataFrame, others: Iterable[float], job_type: str, formula: Formula) -> pl.DataFrame:
    """One row per change that would raise the score; see ``explanation``.

    ``jobs`` are those of ``own_costs``; ``others`` are the rounded scores of the other orchestrators.
    """
    rows = jobs.to_dicts()
    if not rows:
        return pl.DataFrame(schema=_SCHEMA)
    worst = max(rows, key=lambda job: job["failure_cost"])
    changed = {
        SUCCESS: [_with_success(job, job_type, formula) for job in rows],
        SUCCESS_IN_WORST_JOB: [_with_success(job, job_type, formula) if job is worst else job["score"] for job in rows],
        MEDIAN_SPEED: [_with_median_speed(job, job_type, formula) for job in rows],
    }
    weights, now = jobs["weight"].to_list(), fsum(jobs["weight"] * jobs["score"])
    found = []
    for change, scores in changed.items():
        total = round(fsum(map(mul, weights, scores)), SCORE_DECIMALS)
        rank = 1 + sum(other > total for other in others)
        place = {name: worst[name] for name in KEY_COLUMNS} if change == SUCCESS_IN_WORST_JOB else {}
        found.append(place | {"change": change, "score": total, "gain": total - now, "rank": rank})
    return pl.DataFrame(found, schema=_SCHEMA).filter(pl.col("gain").round(SCORE_DECIMALS) > 0)


def _with_success(job: Job, job_type: str, formula: Formula) -> float:
    """The score of a job with GOOD_SUCCESS_RATE at least, as fast as it is.

    Without any success the speed is unknown, and the median's is taken. Of live
    video, which has the quality 0 where it fails, the streams that succeed are as good as they are.
    """
    success: float = max(job["success_rate"], GOOD_SUCCESS_RATE)
    if job["rated_success"] is not None and job["rated_success"] > 0:
        rated = job["rated_success"]
        speed = job["round_trip_score"] / rated * max(rated, GOOD_SUCCESS_RATE)
    else:
        speed = job["round_trip_score"] if job["success_rate"] else job["median_round_trip_score"]
    now: float = job["score"]
    return max(now, score(success, speed, job_type, formula))


def _with_median_speed(job: Job, job_type: str, formula: Formula) -> float:
    """The score of a job as fast, or of the quality, as the median of its peers, if that is better."""
    speed = max(job["round_trip_score"], job["median_round_trip_score"])
    now: float = job["score"]
    return max(now, score(job["success_rate"], speed, job_type, formula))
