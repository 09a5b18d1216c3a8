"""Simulated results look like real ones, and are the same for the same seed."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.results import validation
from leaderboard.simulation.generator import BATCH_ROWS, Simulation
from leaderboard.simulation.jobs import REGIONS
from tests.conftest import sample

UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=10)
SEED_7_HASH = "1999e398558a060252f0be12ab0cfc6fcc7881956f964a24d67b8cd874cc6f31"
"""SHA-256 of the 5,000 results of seed 7 in the year before UNTIL, as ``hash_results`` writes them."""


@pytest.fixture(scope="module")
def simulated() -> pl.DataFrame:
    return pl.concat(Simulation(BATCH_ROWS + 5000, SINCE, UNTIL).frames())


@pytest.fixture(scope="module")
def results(simulated: pl.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in simulated["payload"]]


def hash_results(frame: pl.DataFrame) -> str:
    """A hash of the rows that does not depend on the last bits of floats, which processors compute differently."""
    digest = hashlib.sha256()
    for event_time, payload in frame.select("event_time", "payload").iter_rows():
        result = json.loads(payload, parse_float=lambda text: round(float(text), 9))
        digest.update(f"{event_time.isoformat(timespec='milliseconds')} {json.dumps(result)}\n".encode())
    return digest.hexdigest()


def test_seed_keeps_making_the_results_that_it_made_in_earlier_versions() -> None:
    frames = Simulation(5000, UNTIL - timedelta(days=365), UNTIL, seed=7).frames()
    assert hash_results(pl.concat(frames)) == SEED_7_HASH


def test_as_many_results_as_requested_lie_within_the_time(simulated: pl.DataFrame) -> None:
    assert simulated.height == BATCH_ROWS + 5000
    assert simulated["event_time"].is_sorted()
    assert simulated["event_time"].is_between(SINCE, UNTIL).all()


@pytest.mark.parametrize("events", [1, 7])
def test_a_few_results_are_counted_exactly(events: int) -> None:
    assert sum(frame.height for frame in Simulation(events, SINCE, SINCE + timedelta(minutes=1)).frames()) == events


def test_same_seed_makes_the_same_results_and_another_seed_others() -> None:
    first, again, other = (pl.concat(Simulation(500, SINCE, UNTIL, seed).frames()) for seed in (5, 5, 6))
    assert_frame_equal(first, again)
    assert not first["payload"].equals(other["payload"])


def test_every_result_can_be_posted(simulated: pl.DataFrame) -> None:
    columns = simulated.select("payload", "orchestrator", "region", "job_type")
    for payload, orchestrator, region, job_type in columns.iter_rows():
        result = validation.parse(payload.encode())
        assert (result.orchestrator, result.region, result.job_type) == (orchestrator, region, job_type)
        assert region in REGIONS[job_type]


def test_regions_are_registered() -> None:
    registered = {(region["type"], region["id"]) for region in sample("regions-seed.json")}
    assert {(job_type, region) for job_type, codes in REGIONS.items() for region in codes} <= registered
    assert {job_type: len(codes) for job_type, codes in REGIONS.items()} == {"transcoding": 21, "ai": 4}


def test_shares_are_as_requested(simulated: pl.DataFrame) -> None:
    assert simulated["orchestrator"].n_unique() == 100
    assert (simulated["job_type"] == "ai").mean() == pytest.approx(0.2, abs=0.02)
    without_ai = pl.concat(Simulation(1000, SINCE, UNTIL, orchestrators=3, ai_share=0).frames())
    assert without_ai["orchestrator"].n_unique() == 3
    assert without_ai["job_type"].unique().to_list() == ["transcoding"]


def test_only_failed_results_have_errors(results: list[dict[str, Any]]) -> None:
    assert all((result["success_rate"] < 1) == bool(result["errors"]) for result in results)
    failed = [result for result in results if result["errors"]]
    assert 0.05 < len(failed) / len(results) < 0.5
    assert all(error["error_code"] and error["count"] >= 1 for result in failed for error in result["errors"])


def test_orchestrators_differ(simulated: pl.DataFrame) -> None:
    success_rate = pl.col("payload").str.json_path_match("$.success_rate").cast(pl.Float64)
    means = simulated.group_by("orchestrator").agg(mean=success_rate.mean())["mean"]
    assert means.max() - means.min() > 0.2


def test_noon_is_busier_than_midnight(simulated: pl.DataFrame) -> None:
    hours = simulated["event_time"].dt.hour()
    assert (hours == 12).sum() > 2 * (hours == 0).sum()


def test_round_trip_time_is_the_sum_of_its_parts(results: list[dict[str, Any]]) -> None:
    transcoding = [result for result in results[:1000] if "model" not in result]
    assert len(transcoding) > 100
    for result in transcoding:
        parts = result["upload_time"] + result["download_time"] + result["transcode_time"]
        assert result["round_trip_time"] == pytest.approx(parts, abs=1e-9)
