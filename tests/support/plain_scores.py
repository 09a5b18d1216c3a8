"""The formulas in plain Python, to check the vectorised ones. A job is a result as raw_stats returns it."""

from collections import defaultdict
from datetime import datetime
from math import exp, log, sqrt
from statistics import median
from typing import Any

Jobs = list[dict[str, Any]]
SCORE_FIELDS = ("success_rate", "round_trip_score", "score")
TOLERANCE = {"rel": 1e-9, "abs": 1e-9}
"""For ``pytest.approx``."""
LIVE = "live-video-to-video"
SERVICE_WEIGHTS = (0.65, 0.35)
"""What success and speed count in an AI score."""


def to_seconds(text: str) -> float:
    """Unix seconds of an ISO time, which is UTC if it names no zone."""
    return datetime.fromisoformat(text if "+" in text or text.endswith("Z") else f"{text}+00:00").timestamp()


def group_by(jobs: Jobs, *keys: Any) -> dict[tuple[Any, ...], Jobs]:
    """The jobs by the values of these fields, or of functions of a job."""
    groups: dict[tuple[Any, ...], Jobs] = defaultdict(list)
    for job in jobs:
        groups[tuple(key(job) if callable(key) else job[key] for key in keys)].append(job)
    return groups


def tell_apart(jobs: Jobs) -> tuple[Jobs, Jobs]:
    """The jobs that formula 2 scores, and those that it counts as unscored.

    AI jobs have the slug of their pipeline. Those without a pipeline or a
    model, and double posts of live video, are in neither.
    """
    counted = []
    for job in jobs:
        if "pipeline" in job:
            slug = job["pipeline"].lower().replace(" ", "-").replace("_", "-")
            double_post = slug == LIVE and job.get("success_rate", 0) >= 1 and job["errors"]
            if not slug or not job["model"] or double_post:
                continue
            counted.append(job | {"pipeline": slug})
        else:
            counted.append(job)
    unscored = [job for job in counted if is_unscored(job)]
    return [job for job in counted if not is_unscored(job)], unscored


def is_unscored(job: dict[str, Any]) -> bool:
    """Whether the tester says that a result must not be scored."""
    return str(job.get("test_outcome")).startswith("unscored")


def quality(job: dict[str, Any]) -> float | None:
    """How good a live stream was, 0 to 1; None where a tester posted seconds instead."""
    if job["success_rate"] != 1:
        return 0.0 if job["success_rate"] < 1 else None
    return job["round_trip_time"] if job["round_trip_time"] <= 1 else None


def times(jobs: Jobs) -> list[float]:
    """The round trip times in seconds of the jobs that succeeded and took time, sorted. Live video has none."""
    timed = [job for job in jobs if job.get("pipeline") != LIVE]
    return sorted(j["round_trip_time"] for j in timed if j["success_rate"] == 1 and j["round_trip_time"] != 0)


def median_time(jobs: Jobs) -> float | None:
    """The median of the ``times``."""
    found = times(jobs)
    return median(found) if found else None


def score_jobs(
    jobs: Jobs,
    reference: float | None = None,
    ai: bool = False,
    weights: tuple[float, float] = SERVICE_WEIGHTS,
    at_median: float = 0.8,
) -> dict[str, float]:
    """The scores of one group of jobs; ``reference`` is the median time of the network, for AI jobs."""
    n = len(jobs)
    success = sum(min(job["success_rate"], 1) for job in jobs) / n
    seconds = sum(job["round_trip_time"] for job in jobs) / n
    if ai:
        qualities = [known for job in jobs if (known := quality(job)) is not None]
        if jobs[0]["pipeline"] == LIVE:
            speed = sum(qualities) / len(qualities) if qualities else 0
        else:
            speed = exp(log(at_median) * seconds / reference) if reference else 0
        score = weights[0] * success + weights[1] * speed
    else:
        speed = 1 - exp(-sum(job["seg_duration"] for job in jobs) / n / seconds) if seconds else 0
        score = success * speed
    return {"success_rate": success, "round_trip_score": speed, "score": score if success else 0}


def quantile(values: list[float], share: float) -> float:
    """A quantile of sorted values, by linear interpolation."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def summarize(jobs: Jobs) -> dict[str, float]:
    """The columns of a ranking that are counts, times, and the 95 % interval of the success rate."""
    n, whole = len(jobs), sum(job["success_rate"] >= 1 for job in jobs)
    seconds = times(jobs)
    z, p = 1.959963984540054, whole / n
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    ends = ((p + z * z / (2 * n) + side * half) / (1 + z * z / n) for side in (-1, 1))
    summary = {"events": n, "succeeded": whole, "failed": n - whole, "last_seen": max(job["at"] for job in jobs) // 1}
    if seconds:
        summary |= {"p50_round_trip_time": quantile(seconds, 0.5), "p95_round_trip_time": quantile(seconds, 0.95)}
    return summary | dict(zip(("success_ci_low", "success_ci_high"), ends, strict=True))
