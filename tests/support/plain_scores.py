"""The formulas in plain Python, to check the vectorised ones."""

from collections import defaultdict
from datetime import datetime
from math import exp, log, sqrt
from statistics import median
from typing import Any

Jobs = list[dict[str, Any]]
SCORE_FIELDS = ("success_rate", "round_trip_score", "score")
TOLERANCE = {"rel": 1e-9, "abs": 1e-9}
"""For ``pytest.approx``."""


def to_seconds(text: str) -> float:
    """Unix seconds of an ISO time, which is UTC if it names no zone."""
    return datetime.fromisoformat(text if "+" in text or text.endswith("Z") else f"{text}+00:00").timestamp()


def group_by(jobs: Jobs, *keys: Any) -> dict[tuple[Any, ...], Jobs]:
    """The jobs by the values of these fields, or of functions of a job."""
    groups: dict[tuple[Any, ...], Jobs] = defaultdict(list)
    for job in jobs:
        groups[tuple(key(job) if callable(key) else job[key] for key in keys)].append(job)
    return groups


def median_time(jobs: Jobs) -> float | None:
    """The median round trip time in seconds of the jobs that succeeded and took time."""
    times = [j["round_trip_time"] for j in jobs if j["success_rate"] == 1 and j["round_trip_time"] != 0]
    return median(times) if times else None


def score_jobs(jobs: Jobs, reference: float | None = None, ai: bool = False) -> dict[str, float]:
    """The scores of one group of jobs; ``reference`` is the median time of the network, for AI jobs."""
    n = len(jobs)
    success = sum(min(job["success_rate"], 1) for job in jobs) / n
    seconds = sum(job["round_trip_time"] for job in jobs) / n
    if ai:
        speed = exp(log(0.8) * seconds / reference) if reference else 0
        score = 0.65 * success + 0.35 * speed
    else:
        speed = 1 - exp(-sum(job["seg_duration"] for job in jobs) / n / seconds) if seconds else 0
        score = success * speed
    return {"success_rate": success, "round_trip_score": speed, "score": score if success else 0}


def quantile(times: list[float], share: float) -> float:
    """A quantile of sorted times, by linear interpolation."""
    place = share * (len(times) - 1)
    low = int(place)
    high = min(low + 1, len(times) - 1)
    return times[low] + (place - low) * (times[high] - times[low])


def summarize(jobs: Jobs) -> dict[str, float]:
    """The columns of a ranking that are counts, times, and the 95 % interval of the success rate."""
    n, whole = len(jobs), sum(job["success_rate"] >= 1 for job in jobs)
    times = sorted(j["round_trip_time"] for j in jobs if j["success_rate"] == 1 and j["round_trip_time"] != 0)
    z, p = 1.959963984540054, whole / n
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    ends = ((p + z * z / (2 * n) + side * half) / (1 + z * z / n) for side in (-1, 1))
    summary = {"events": n, "succeeded": whole, "failed": n - whole, "last_seen": max(job["at"] for job in jobs) // 1}
    if times:
        summary |= {"p50_round_trip_time": quantile(times, 0.5), "p95_round_trip_time": quantile(times, 0.95)}
    return summary | dict(zip(("success_ci_low", "success_ci_high"), ends, strict=True))
