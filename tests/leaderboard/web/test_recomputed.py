"""The scores of a week equal those in plain Python from its raw results, both over HTTP."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import conformance
from tests.support.plain_scores import (
    SCORE_FIELDS,
    TOLERANCE,
    Jobs,
    group_by,
    median_time,
    score_jobs,
    summarize,
    to_seconds,
)
from tests.support.service import RunningService

pytestmark = pytest.mark.slow

DAY = 86400
EVENTS = conformance("events")
SINCE = EVENTS["t0"] + 7 * DAY
UNTIL = SINCE + 7 * DAY
WINDOW = f"since={SINCE}&until={UNTIL}"


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
        found[job_type] = [json.loads(row["result"]) | {"at": to_seconds(row["event_time"])} for row in rows]
    return found


def assert_close(found: dict[str, Any], expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, **TOLERANCE), name


def busiest(jobs: Jobs) -> tuple[str, str]:
    groups = group_by(jobs, "pipeline", "model")
    return max(groups, key=lambda job: len(groups[job]))


def query_of(pipeline: str, model: str) -> str:
    return f"{WINDOW}&pipeline={quote(pipeline)}&model={quote(model)}"


def test_transcoding_scores(service: RunningService, jobs: dict[str, Jobs]) -> None:
    found = service.get(f"/api/aggregated_stats?{WINDOW}").json
    groups = group_by(jobs["transcoding"], "orchestrator", "region")
    assert {(name, region) for name, regions in found.items() for region in regions} == groups.keys()
    for (orchestrator, region), group in groups.items():
        assert_close(found[orchestrator][region], score_jobs(group))


def test_scores_of_every_ai_job(service: RunningService, jobs: dict[str, Jobs]) -> None:
    for job, group in group_by(jobs["ai"], "pipeline", "model").items():
        found = service.get(f"/api/aggregated_stats?{query_of(*job)}").json
        for (orchestrator, region), own in group_by(group, "orchestrator", "region").items():
            assert_close(found[orchestrator][region], score_jobs(own, median_time(group), ai=True))


def test_transcoding_history(service: RunningService, jobs: dict[str, Jobs]) -> None:
    days = group_by(jobs["transcoding"], lambda job: job["at"] // DAY * DAY, "orchestrator", "region")
    for orchestrator in {orchestrator for _, orchestrator, _ in days}:
        rows = service.get(f"/api/score_history?{WINDOW}&interval=1d&orchestrator={orchestrator}").json["history"]
        expected = {key: group for key, group in days.items() if key[1] == orchestrator}
        assert [(row["bucket"], row["orchestrator"], row["region"]) for row in rows] == sorted(expected)
        for row in rows:
            group = expected[row["bucket"], orchestrator, row["region"]]
            assert row["events"] == len(group)
            assert_close(row, score_jobs(group))


def test_history_of_an_ai_job_of_the_network(service: RunningService, jobs: dict[str, Jobs]) -> None:
    job = busiest(jobs["ai"])
    week = group_by(jobs["ai"], "pipeline", "model")[job]
    spans = group_by(week, lambda job: job["at"] // 21600 * 21600)
    rows = service.get(f"/api/score_history?{query_of(*job)}&interval=6h").json["history"]
    expected = group_by(week, lambda job: job["at"] // 21600 * 21600, "region")
    assert {(row["bucket"], row["region"]) for row in rows} == expected.keys()
    for row in rows:
        reference = median_time(spans[(row["bucket"],)])
        assert row.get("median_round_trip_time") == (reference and pytest.approx(reference, **TOLERANCE))
        assert_close(row, score_jobs(expected[row["bucket"], row["region"]], reference, ai=True))


def assert_ranked(rows: list[dict[str, Any]], expected: dict[str, dict[str, float]]) -> None:
    assert {row["orchestrator"] for row in rows} == expected.keys()
    for row in rows:
        own = expected[row["orchestrator"]]
        assert_close(row, own)
        assert row["rank"] == 1 + sum(other["score"] > own["score"] + 1e-11 for other in expected.values())


def test_transcoding_ranking(service: RunningService, jobs: dict[str, Jobs]) -> None:
    expected = {}
    for (orchestrator,), own in group_by(jobs["transcoding"], "orchestrator").items():
        parts = [score_jobs(group) for group in group_by(own, "region").values()]
        means = {name: sum(part[name] for part in parts) / len(parts) for name in SCORE_FIELDS}
        expected[orchestrator] = means | summarize(own) | {"regions": len(parts)}
    assert_ranked(service.get(f"/api/leaderboard?{WINDOW}&limit=1000").json["leaderboard"], expected)


@pytest.mark.parametrize("one_pipeline", [True, False])
def test_ranking_over_several_ai_models(service: RunningService, jobs: dict[str, Jobs], one_pipeline: bool) -> None:
    pipeline, _ = busiest(jobs["ai"])
    chosen = [job for job in jobs["ai"] if job["pipeline"] == pipeline or not one_pipeline]
    references = {job: median_time(group) for job, group in group_by(chosen, "pipeline", "model").items()}
    expected = {}
    for (orchestrator,), own in group_by(chosen, "orchestrator").items():
        parts = []
        for region in group_by(own, "region").values():
            models = group_by(region, "pipeline", "model").items()
            weighed = [(len(group), score_jobs(group, references[job], ai=True)) for job, group in models]
            parts.append({name: sum(n * part[name] for n, part in weighed) / len(region) for name in SCORE_FIELDS})
        means = {name: sum(part[name] for part in parts) / len(parts) for name in SCORE_FIELDS}
        expected[orchestrator] = means | summarize(own) | {"regions": len(parts)}
    query = f"pipeline={quote(pipeline)}" if one_pipeline else "job_type=ai"
    assert_ranked(service.get(f"/api/leaderboard?{WINDOW}&{query}&limit=1000").json["leaderboard"], expected)
