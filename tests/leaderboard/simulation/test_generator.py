"""Simulations make exactly what their options say, and the same for the same seed."""

import hashlib
import json
from collections import Counter
from datetime import timedelta
from math import ceil
from statistics import median
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.results import validation
from leaderboard.simulation.generator import BATCH_ROWS, Simulation
from leaderboard.simulation.places import OLDER_AI_REGIONS, REGIONS
from tests.conftest import sample
from tests.leaderboard.simulation.conftest import MONTH, SINCE, UNTIL, Result, share

SEED_7_HASH = "36f3ebcfbc65d22cd0cc2ac519026edaad2d4dfa57c5c2350ce92be00071fb48"
"""SHA-256 of the 5,000 results of seed 7 in the year before UNTIL, as ``hash_results`` writes them."""


def hash_results(frame: pl.DataFrame) -> str:
    """A hash of the rows that does not depend on the last bits of floats, which processors compute differently."""
    digest = hashlib.sha256()

    def load(text: str) -> Any:
        return json.loads(text, parse_float=lambda number: round(float(number), 9))

    for event_time, payload in frame.select("event_time", "payload").iter_rows():
        result = load(payload)
        if response := result.get("response_payload"):
            result["response_payload"] = load(response)
        digest.update(f"{event_time.isoformat(timespec='milliseconds')} {json.dumps(result)}\n".encode())
    return digest.hexdigest()


def test_seed_keeps_making_the_results_that_it_made_in_earlier_versions() -> None:
    frames = Simulation(5000, UNTIL - timedelta(days=365), UNTIL, seed=7).frames()
    assert hash_results(pl.concat(frames)) == SEED_7_HASH


def test_as_many_results_as_requested_lie_within_the_time(simulated: pl.DataFrame) -> None:
    assert simulated.height == MONTH.events
    assert simulated["event_time"].is_sorted()
    assert simulated["event_time"].is_between(SINCE, UNTIL).all()


@pytest.mark.parametrize("share", [0, 0.2, 1])
@pytest.mark.parametrize(("events", "minutes"), [(1, 1), (7, 1), (7, 0), (3000, 60 * 24 * 365)])
def test_results_are_counted_exactly(events: int, minutes: int, share: float) -> None:
    simulation = Simulation(events, SINCE, SINCE + timedelta(minutes=minutes), ai_share=share)
    counts = Counter[str]()
    for frame in simulation.frames():
        counts.update(frame["job_type"])
    assert counts.total() == events
    assert counts["ai"] == round(events * share)


def test_frames_hold_at_most_a_batch_and_continue_each_other() -> None:
    frames = list(Simulation(2 * BATCH_ROWS + 1, SINCE, SINCE + timedelta(hours=1)).frames())
    assert [frame.height for frame in frames] == [BATCH_ROWS, BATCH_ROWS, 1]
    assert pl.concat(frames)["event_time"].is_sorted()


def test_same_seed_makes_the_same_results_and_another_seed_others() -> None:
    first, again, other = (pl.concat(Simulation(500, SINCE, UNTIL, seed).frames()) for seed in (5, 5, 6))
    assert_frame_equal(first, again)
    assert not first["payload"].equals(other["payload"])


def test_every_result_can_be_posted(simulated: pl.DataFrame) -> None:
    columns = simulated.select("payload", "orchestrator", "region", "job_type")
    for payload, orchestrator, region, job_type in columns.iter_rows():
        result = validation.parse(payload.encode())
        assert (result.orchestrator, result.region, result.job_type) == (orchestrator, region, job_type)


def test_all_registered_regions_but_one_take_part(simulated: pl.DataFrame) -> None:
    used = set(simulated.select("job_type", "region").unique().iter_rows())
    assert used == {(job_type, region) for job_type, codes in REGIONS.items() for region in codes}
    registered = {(region["type"], region["id"]) for region in sample("regions-seed.json")}
    assert registered - used == {("transcoding", "GLOBAL")}
    assert used <= registered


@pytest.mark.parametrize("orchestrators", [1, 3, 100])
def test_there_are_as_many_orchestrators_as_requested(orchestrators: int) -> None:
    simulation = Simulation(2000, SINCE, UNTIL, orchestrators=orchestrators, ai_share=0.1)
    frame = pl.concat(simulation.frames())
    assert frame["orchestrator"].n_unique() == orchestrators
    assert frame["job_type"].n_unique() == 2


def test_each_ai_job_is_tested_in_every_region_equally_often(results: list[Result]) -> None:
    tests = Counter[tuple[str, ...]]()
    for result in results:
        if "model" in result and not result.get("pipeline", "").startswith("live"):
            uri = json.loads(result["input_parameters"]).get("orchestrator", "")
            tests[result["orchestrator"], result["model"], uri, result["region"]] += 1
    newer = [number for key, number in tests.items() if key[-1] not in OLDER_AI_REGIONS]
    assert max(newer) <= 1.05 * median(newer) + 2
    # the others have been there for a part of the time only, or their tester was silent
    assert sum(number >= 0.85 * median(newer) - 2 for number in newer) > 0.8 * len(newer)


def test_an_orchestrator_is_tested_in_turn(simulated: pl.DataFrame) -> None:
    """The time between two tests in a region is always about the same, unless the tester was silent."""
    gaps = (
        simulated.filter(pl.col("job_type") == "transcoding")
        .group_by("orchestrator", "region", maintain_order=True)
        .agg(gap=pl.col("event_time").diff().drop_nulls())
        .explode("gap")["gap"]
    )
    typical = gaps.median()
    assert isinstance(typical, timedelta)
    assert share(gaps.is_between(0.8 * typical, 1.25 * typical)) > 0.97


def test_orchestrators_arrive_and_depart() -> None:
    year = UNTIL - timedelta(days=365)
    frame = pl.concat(Simulation(30_000, year, UNTIL).frames())
    seen = frame.group_by("orchestrator").agg(first=pl.col("event_time").min(), last=pl.col("event_time").max())
    late = (seen["first"] > year + timedelta(days=30)).sum()
    early = (seen["last"] < UNTIL - timedelta(days=30)).sum()
    assert 10 <= late <= 45
    assert 10 <= early <= 45


def test_results_are_received_soon_after_their_job(results: list[Result]) -> None:
    def delay(result: Result) -> float:
        seconds: float = result["received"].timestamp() - result["timestamp"]
        return seconds

    assert all(delay(result) >= 0 for result in results)
    streams = [delay(result) for result in results if "segments_sent" in result]
    assert 30 <= min(streams) <= max(streams) <= ceil(30 + 20 + 1)
