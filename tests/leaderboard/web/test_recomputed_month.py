"""Three computations of formula 2 over a simulated month agree.

They are the service over HTTP, plain Python over the results as they were
posted, and DuckDB over the lake.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import queries
from leaderboard.lake.sync import sync
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.simulation.generator import Simulation
from queries import AI, EventFilter, PostgresEvents
from tests.support import plain_formula_2 as plain
from tests.support.commands import run_leaderboard
from tests.support.plain_scores import SCORE_FIELDS, TOLERANCE, Jobs, to_seconds
from tests.support.service import RunningService

pytestmark = pytest.mark.slow

UNTIL = datetime(2026, 10, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=30)
WINDOW = f"since={SINCE.timestamp():.0f}&until={UNTIL.timestamp():.0f}"
SPAN = datetime(2026, 9, 10, tzinfo=UTC), datetime(2026, 9, 12, tzinfo=UTC)
EXCLUSIONS = [{"region": "FRA", "since": SPAN[0].timestamp(), "until": SPAN[1].timestamp()}]


@pytest.fixture
def service(database: str) -> Iterator[RunningService]:
    """A service over a simulated month of which two days in FRA are excluded."""
    store = Database(database, 60)
    for frame in Simulation(6000, SINCE, UNTIL, orchestrators=15, ai_share=0.7).frames():
        writer.copy(store, RegionRegistry(store, 0), frame)
    store.close()
    since, until = (moment.isoformat() for moment in SPAN)
    options = ("--region", "FRA", "--since", since, "--until", until, "--reason", "the tester was at fault")
    assert run_leaderboard("exclusions", "add", *options, POSTGRES=database).returncode == 0
    with RunningService({"POSTGRES": database}) as running:
        yield running


def read_results(service: RunningService, job_type: str) -> Jobs:
    """All results of the month as they were posted, with the moment at which each was received."""
    ranked = service.get(f"/api/leaderboard?{WINDOW}&job_type={job_type}&limit=1000&formula=1").json["leaderboard"]
    lines: list[str] = []
    for row in ranked:
        path = f"/api/raw_stats?{WINDOW}&orchestrator={row['orchestrator']}&job_type={job_type}&format=ndjson"
        lines += service.get(path).body.decode().splitlines()
    rows = [json.loads(line) for line in lines]
    return [json.loads(row["result"]) | {"at": to_seconds(row["event_time"])} for row in rows]


def flatten(document: dict[str, Any]) -> plain.Scores:
    """The document of aggregated_stats, by orchestrator and region."""
    return {(name, region): scores for name, regions in document.items() for region, scores in regions.items()}


def assert_same(found: dict[Any, Any], expected: dict[Any, dict[str, float]]) -> None:
    assert found.keys() == expected.keys()
    for key, scores in expected.items():
        for name in SCORE_FIELDS:
            assert found[key][name] == pytest.approx(scores[name], **TOLERANCE), (key, name)


def test_three_computations_agree(service: RunningService, database: str, tmp_path: Path) -> None:
    posted = read_results(service, AI)
    ai, transcoding = (plain.scored(results, EXCLUSIONS) for results in (posted, read_results(service, "transcoding")))
    # the month has everything that formula 2 is about
    assert any(plain.is_unscored(result) for result in posted)
    assert any(plain.is_double_post(result) for result in posted)
    assert any(plain.is_excluded(result, EXCLUSIONS) for result in posted)
    assert len({result["pipeline"] for result in posted}) > len({plain.slug(result["pipeline"]) for result in posted})
    expected = plain.score_ai(ai)
    assert {job for job, _ in expected} >= {plain.LIVE, "llm"}

    postgres = PostgresEvents(database)
    sync(postgres, str(tmp_path / "lake"), lambda *_: None)
    exclusions = postgres.exclusions()
    postgres.close()
    connection = queries.connect(database, lake=str(tmp_path / "lake"))
    in_lake = queries.leave_out(connection.table("events"), exclusions)

    def from_duckdb(event_filter: EventFilter) -> plain.Scores:
        rows = queries.aggregated_stats(in_lake, event_filter).pl().iter_rows()
        return {row[:2]: dict(zip(SCORE_FIELDS, row[2:], strict=True)) for row in rows}

    assert_same(flatten(service.get(f"/api/aggregated_stats?{WINDOW}").json), plain.score_transcoding(transcoding))
    assert_same(from_duckdb(EventFilter()), plain.score_transcoding(transcoding))
    for (pipeline, model), scores in expected.items():
        query = f"{WINDOW}&pipeline={quote(pipeline)}&model={quote(model)}"
        assert_same(flatten(service.get(f"/api/aggregated_stats?{query}").json), scores)
        assert_same(from_duckdb(EventFilter(AI, pipeline=pipeline, model=model)), scores)
        in_region = service.get(f"/api/aggregated_stats?{query}&region=MDW").json
        assert_same(flatten(in_region), {key: own for key, own in scores.items() if key[1] == "MDW"})
    ranked = service.get(f"/api/leaderboard?{WINDOW}&job_type=ai&limit=1000").json["leaderboard"]
    assert_same({row["orchestrator"]: row for row in ranked if "rank" in row}, plain.rank_ai(ai))
    assert {row["orchestrator"]: row["events"] + row["unscored"] for row in ranked} == {
        row["orchestrator"]: sum(
            result["orchestrator"] == row["orchestrator"]
            and not plain.is_double_post(result)
            and not plain.is_excluded(result, EXCLUSIONS)
            for result in posted
        )
        for row in ranked
    }
