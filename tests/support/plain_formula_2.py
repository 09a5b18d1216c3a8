"""Formula 2 in plain Python over results as they were posted, to check the vectorised one."""

import re
from typing import Any

from tests.support.plain_scores import SCORE_FIELDS, Jobs, group_by, median_time, score_jobs

LIVE = "live-video-to-video"
Scores = dict[tuple[str, str], dict[str, float]]
"""By orchestrator and region."""


def slug(pipeline: str) -> str:
    return re.sub("[ _]", "-", pipeline.lower())


def is_live(result: dict[str, Any]) -> bool:
    return slug(result.get("pipeline") or "") == LIVE


def is_double_post(result: dict[str, Any]) -> bool:
    """Whether this is what an older tester posted after the same run's failure."""
    return is_live(result) and result["success_rate"] >= 1 and bool(result["errors"])


def is_unscored(result: dict[str, Any]) -> bool:
    return (result.get("test_outcome") or "").startswith("unscored")


def scored(results: Jobs, exclusions: list[dict[str, Any]]) -> Jobs:
    """The results that a score is made of. ``exclusions`` have region, since and until (unix seconds)."""
    return [r for r in results if not is_double_post(r) and not is_unscored(r) and not is_excluded(r, exclusions)]


def is_excluded(result: dict[str, Any], exclusions: list[dict[str, Any]]) -> bool:
    return any(e["region"] == result["region"] and e["since"] <= result["at"] < e["until"] for e in exclusions)


def score_job(own: Jobs, reference: float | None) -> dict[str, float]:
    """The scores of some results of one AI job."""
    if not is_live(own[0]):
        return score_jobs(own, reference, ai=True)
    success = sum(min(job["success_rate"], 1) for job in own) / len(own)
    qualities = [0.0 if job["success_rate"] < 1 else job["round_trip_time"] for job in own]
    rated = [quality for quality in qualities if quality <= 1]
    quality = sum(rated) / len(rated) if rated else 0.0
    return {
        "success_rate": success,
        "round_trip_score": quality,
        "score": 0.65 * success + 0.35 * quality if success else 0.0,
    }


def score_ai(results: Jobs) -> dict[tuple[str, str], Scores]:
    """The scores of every AI job, by the slug of its pipeline and its model."""
    found = {}
    for job, network in group_by(results, lambda result: slug(result["pipeline"]), "model").items():
        reference = median_time(network)
        groups = group_by(network, "orchestrator", "region").items()
        found[job] = {key: score_job(own, reference) for key, own in groups}
    return found


def score_transcoding(results: Jobs) -> Scores:
    return {key: score_jobs(own) for key, own in group_by(results, "orchestrator", "region").items()}


def rank_ai(results: Jobs) -> dict[str, dict[str, float]]:
    """The scores of the ranking over all AI jobs, by orchestrator."""
    by_job = score_ai(results)
    ranked = {}
    for (orchestrator,), own in group_by(results, "orchestrator").items():
        regions = []
        for (region,), tests in group_by(own, "region").items():
            jobs = group_by(tests, lambda result: slug(result["pipeline"]), "model")
            weighed = [(len(part), by_job[job][orchestrator, region]) for job, part in jobs.items()]
            regions.append({name: sum(n * part[name] for n, part in weighed) / len(tests) for name in SCORE_FIELDS})
        ranked[orchestrator] = {name: sum(part[name] for part in regions) / len(regions) for name in SCORE_FIELDS}
    return ranked
