"""A week computed again in plain Python, from the raw results that the service answers over HTTP."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from math import exp, log, sqrt
from statistics import median
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import conformance
from tests.support.service import RunningService

pytestmark = pytest.mark.slow

Jobs = list[dict[str, Any]]
SCORES = ("success_rate", "round_trip_score", "score")
DAY = 86400
EVENTS = conformance("events")
SINCE = EVENTS["t0"] + 7 * DAY
UNTIL = SINCE + 7 * DAY
WINDOW = f"since={SINCE}&until={UNTIL}"
close = {"rel": 1e-9, "abs": 1e-9}


@pytest.fixture(scope="module")
def service(events_database: str) -> Iterator[RunningService]:
    with RunningService({"POSTGRES": events_database}) as running:
        yield running


@pytest.fixture(scope="module")
def jobs(service: RunningService) -> dict[str, Jobs]:
    """All results of the week, by job type, with the moment at which each was received."""
    orchestrators = {orchestrator.lower() for _, orchestrator, *_ in EVENTS["events"]}
    found: dict[str, Jobs] = {}
    for job_type in ("transcoding", "ai"):
        lines: list[str] = []
        for orchestrator in orchestrators:
            path = f"/api/raw_stats?{WINDOW}&orchestrator={orchestrator}&job_type={job_type}&format=ndjson"
            lines += service.get(path).body.decode().splitlines()
        rows = [json.loads(line) for line in lines]
        found[job_type] = [json.loads(row["result"]) | {"at": moment(row["event_time"])} for row in rows]
    return found


def moment(text: str) -> float:
    return datetime.fromisoformat(text if "+" in text or text.endswith("Z") else f"{text}+00:00").timestamp()


def by(jobs: Jobs, *keys: Any) -> dict[tuple[Any, ...], Jobs]:
    groups: dict[tuple[Any, ...], Jobs] = defaultdict(list)
    for job in jobs:
        groups[tuple(key(job) if callable(key) else job[key] for key in keys)].append(job)
    return groups


def typical(jobs: Jobs) -> float | None:
    times = [j["round_trip_time"] for j in jobs if j["success_rate"] == 1 and j["round_trip_time"] != 0]
    return median(times) if times else None


def scored(jobs: Jobs, reference: float | None = None, ai: bool = False) -> dict[str, float]:
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


def assert_close(found: dict[str, Any], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, **close), name


def busiest(jobs: Jobs) -> tuple[str, str]:
    groups = by(jobs, "pipeline", "model")
    return max(groups, key=lambda job: len(groups[job]))


def asked(pipeline: str, model: str) -> str:
    return f"{WINDOW}&pipeline={quote(pipeline)}&model={quote(model)}"


def test_the_scores_of_transcoding(service: RunningService, jobs: dict[str, Jobs]) -> None:
    found = service.get(f"/api/aggregated_stats?{WINDOW}").json
    groups = by(jobs["transcoding"], "orchestrator", "region")
    assert {(name, region) for name, regions in found.items() for region in regions} == groups.keys()
    for (orchestrator, region), group in groups.items():
        assert_close(found[orchestrator][region], scored(group))


def test_the_scores_of_every_ai_job(service: RunningService, jobs: dict[str, Jobs]) -> None:
    for job, group in by(jobs["ai"], "pipeline", "model").items():
        found = service.get(f"/api/aggregated_stats?{asked(*job)}").json
        for (orchestrator, region), own in by(group, "orchestrator", "region").items():
            assert_close(found[orchestrator][region], scored(own, typical(group), ai=True))


def test_the_history_of_transcoding(service: RunningService, jobs: dict[str, Jobs]) -> None:
    days = by(jobs["transcoding"], lambda job: job["at"] // DAY * DAY, "orchestrator", "region")
    for orchestrator in {orchestrator for _, orchestrator, _ in days}:
        rows = service.get(f"/api/score_history?{WINDOW}&interval=1d&orchestrator={orchestrator}").json["history"]
        expected = {key: group for key, group in days.items() if key[1] == orchestrator}
        assert [(row["bucket"], row["orchestrator"], row["region"]) for row in rows] == sorted(expected)
        for row in rows:
            group = expected[row["bucket"], orchestrator, row["region"]]
            assert row["events"] == len(group)
            assert_close(row, scored(group))


def test_the_history_of_the_network_doing_an_ai_job(service: RunningService, jobs: dict[str, Jobs]) -> None:
    job = busiest(jobs["ai"])
    week = by(jobs["ai"], "pipeline", "model")[job]
    spans = by(week, lambda job: job["at"] // 21600 * 21600)
    rows = service.get(f"/api/score_history?{asked(*job)}&interval=6h").json["history"]
    expected = by(week, lambda job: job["at"] // 21600 * 21600, "region")
    assert {(row["bucket"], row["region"]) for row in rows} == expected.keys()
    for row in rows:
        reference = typical(spans[(row["bucket"],)])
        assert row.get("median_round_trip_time") == (reference and pytest.approx(reference, **close))
        assert_close(row, scored(expected[row["bucket"], row["region"]], reference, ai=True))


def quantile(times: list[float], share: float) -> float:
    place = share * (len(times) - 1)
    low = int(place)
    high = min(low + 1, len(times) - 1)
    return times[low] + (place - low) * (times[high] - times[low])


def summed_up(jobs: Jobs) -> dict[str, float]:
    n, whole = len(jobs), sum(job["success_rate"] >= 1 for job in jobs)
    times = sorted(j["round_trip_time"] for j in jobs if j["success_rate"] == 1 and j["round_trip_time"] != 0)
    z, p = 1.959963984540054, whole / n
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    ends = ((p + z * z / (2 * n) + side * half) / (1 + z * z / n) for side in (-1, 1))
    summary = {"events": n, "succeeded": whole, "failed": n - whole, "last_seen": max(job["at"] for job in jobs) // 1}
    if times:
        summary |= {"p50_round_trip_time": quantile(times, 0.5), "p95_round_trip_time": quantile(times, 0.95)}
    return summary | dict(zip(("success_ci_low", "success_ci_high"), ends, strict=True))


def assert_ranked(rows: list[dict[str, Any]], expected: dict[str, dict[str, float]]) -> None:
    assert {row["orchestrator"] for row in rows} == expected.keys()
    for row in rows:
        own = expected[row["orchestrator"]]
        assert_close(row, own)
        assert row["rank"] == 1 + sum(other["score"] > own["score"] + 1e-11 for other in expected.values())


def test_the_ranking_of_transcoding(service: RunningService, jobs: dict[str, Jobs]) -> None:
    expected = {}
    for (orchestrator,), own in by(jobs["transcoding"], "orchestrator").items():
        parts = [scored(group) for group in by(own, "region").values()]
        means = {name: sum(part[name] for part in parts) / len(parts) for name in SCORES}
        expected[orchestrator] = means | summed_up(own) | {"regions": len(parts)}
    assert_ranked(service.get(f"/api/leaderboard?{WINDOW}&limit=1000").json["leaderboard"], expected)


@pytest.mark.parametrize("one_pipeline", [True, False])
def test_the_ranking_of_many_ai_models(service: RunningService, jobs: dict[str, Jobs], one_pipeline: bool) -> None:
    pipeline, _ = busiest(jobs["ai"])
    chosen = [job for job in jobs["ai"] if job["pipeline"] == pipeline or not one_pipeline]
    references = {job: typical(group) for job, group in by(chosen, "pipeline", "model").items()}
    expected = {}
    for (orchestrator,), own in by(chosen, "orchestrator").items():
        parts = []
        for region in by(own, "region").values():
            models = by(region, "pipeline", "model").items()
            weighed = [(len(group), scored(group, references[job], ai=True)) for job, group in models]
            parts.append({name: sum(n * part[name] for n, part in weighed) / len(region) for name in SCORES})
        means = {name: sum(part[name] for part in parts) / len(parts) for name in SCORES}
        expected[orchestrator] = means | summed_up(own) | {"regions": len(parts)}
    query = f"pipeline={quote(pipeline)}" if one_pipeline else "job_type=ai"
    assert_ranked(service.get(f"/api/leaderboard?{WINDOW}&{query}&limit=1000").json["leaderboard"], expected)
