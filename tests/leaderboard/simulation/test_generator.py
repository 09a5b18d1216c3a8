"""Made results are like real ones, and the same for the same seed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.results import validation
from leaderboard.simulation.generator import BATCH, REGIONS, Simulation
from tests.conftest import sample

UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=10)


@pytest.fixture(scope="module")
def made() -> pl.DataFrame:
    return pl.concat(Simulation(BATCH + 5000, SINCE, UNTIL).frames())


@pytest.fixture(scope="module")
def results(made: pl.DataFrame) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in made["payload"]]


def test_as_many_are_made_as_are_asked_for_within_the_time(made: pl.DataFrame) -> None:
    assert made.height == BATCH + 5000
    assert made["event_time"].is_sorted()
    assert made["event_time"].is_between(SINCE, UNTIL).all()


@pytest.mark.parametrize("events", [1, 7])
def test_few_are_made_exactly(events: int) -> None:
    assert sum(frame.height for frame in Simulation(events, SINCE, SINCE + timedelta(minutes=1)).frames()) == events


def test_a_seed_makes_the_same_and_another_makes_others() -> None:
    first, again, other = (pl.concat(Simulation(500, SINCE, UNTIL, seed).frames()) for seed in (5, 5, 6))
    assert_frame_equal(first, again)
    assert not first["payload"].equals(other["payload"])


def test_every_one_can_be_posted(made: pl.DataFrame) -> None:
    for payload, orchestrator, region, job_type in made.select(
        "payload", "orchestrator", "region", "job_type"
    ).iter_rows():
        result = validation.parse(payload.encode())
        assert (result.orchestrator, result.region, result.job_type) == (orchestrator, region, job_type)
        assert region in REGIONS[job_type]


def test_regions_are_registered_ones() -> None:
    seeded = {(region["type"], region["id"]) for region in sample("regions-seed.json")}
    assert {(job_type, region) for job_type, codes in REGIONS.items() for region in codes} <= seeded


def test_shares_are_as_asked_for(made: pl.DataFrame) -> None:
    assert made["orchestrator"].n_unique() == 100
    assert (made["job_type"] == "ai").mean() == pytest.approx(0.2, abs=0.02)
    none = pl.concat(Simulation(1000, SINCE, UNTIL, orchestrators=3, ai=0).frames())
    assert (none["orchestrator"].n_unique(), none["job_type"].unique().to_list()) == (3, ["transcoding"])


def test_failures_have_errors_and_successes_have_none(results: list[dict[str, Any]]) -> None:
    assert all((result["success_rate"] < 1) == bool(result["errors"]) for result in results)
    failed = [result for result in results if result["errors"]]
    assert 0.05 < len(failed) / len(results) < 0.5
    assert all(error["error_code"] and error["count"] >= 1 for result in failed for error in result["errors"])


def test_orchestrators_differ_and_days_are_busier_than_nights(made: pl.DataFrame) -> None:
    success = made.select("orchestrator", pl.col("payload").str.json_path_match("$.success_rate").cast(pl.Float64))
    means = success.group_by("orchestrator").mean()["payload"]
    assert means.max() - means.min() > 0.2
    hours = made["event_time"].dt.hour()
    assert (hours == 12).sum() > 2 * (hours == 0).sum()


def test_a_sum_of_times_is_the_round_trip(results: list[dict[str, Any]]) -> None:
    for result in results[:1000]:
        if "model" not in result:
            parts = result["upload_time"] + result["download_time"] + result["transcode_time"]
            assert result["round_trip_time"] == pytest.approx(parts, abs=1e-9)
