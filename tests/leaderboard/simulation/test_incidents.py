"""Incidents are planted, can be read, and are seen in the results."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest

from leaderboard.simulation.generator import Simulation
from leaderboard.simulation.incidents import FAILURES, KINDS, SILENCE, SLOWNESS, Incident
from tests.leaderboard.simulation.conftest import MONTH, UNTIL, middle, share

QUARTER = Simulation(150_000, UNTIL - timedelta(days=90), UNTIL, ai_share=0.4)


@pytest.fixture(scope="module")
def quarter() -> pl.DataFrame:
    field = {name: pl.col("payload").str.json_path_match(f"$.{name}") for name in ("success_rate", "round_trip_time")}
    scored = ~pl.col("payload").str.contains('"unscored_')
    return pl.concat(
        frame.filter(scored).select(
            "event_time",
            "orchestrator",
            "region",
            "job_type",
            *(value.cast(pl.Float64).alias(name) for name, value in field.items()),
        )
        for frame in QUARTER.frames()
    )


def split(quarter: pl.DataFrame, incident: Incident) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The results of the region within the incident, and those of the days around it."""
    own = quarter.filter(pl.col("region") == incident.region, pl.col("job_type") == incident.job_type)
    during = (pl.col("event_time") >= incident.begin) & (pl.col("event_time") < incident.end)
    near = pl.col("event_time").is_between(incident.begin - timedelta(days=2), incident.end + timedelta(days=2))
    return own.filter(during), own.filter(near & ~during)


def test_there_is_one_in_four_days_of_every_kind() -> None:
    incidents = QUARTER.incidents()
    assert len(incidents) == 90 // 4
    for before, after in pairwise(incidents):
        assert before.end <= after.begin
    assert all(QUARTER.since <= incident.begin < incident.end <= QUARTER.until for incident in incidents)
    assert {(incident.job_type, incident.kind) for incident in incidents} == {
        (job_type, kind) for job_type in ("ai", "transcoding") for kind in KINDS
    }
    assert {(incident.job_type, incident.kind) for incident in MONTH.incidents()[:6]} == {
        (incident.job_type, incident.kind) for incident in incidents
    }


def test_silent_tester_posts_nothing(quarter: pl.DataFrame) -> None:
    for incident in (incident for incident in QUARTER.incidents() if incident.kind == SILENCE):
        during, around = split(quarter, incident)
        assert during.height == 0
        assert around.height > 50


def test_failing_tester_fails_with_nearly_everyone(quarter: pl.DataFrame) -> None:
    for incident in (incident for incident in QUARTER.incidents() if incident.kind == FAILURES):
        during, around = split(quarter, incident)
        assert during.height > 10
        assert (
            during.filter(pl.col("success_rate") < 1)["orchestrator"].n_unique()
            > 0.7 * during["orchestrator"].n_unique()
        )
        assert share(during["success_rate"] < 1) > 0.75
        assert share(around["success_rate"] < 1) < 0.4


def test_slow_tester_takes_several_times_as_long(quarter: pl.DataFrame) -> None:
    # the times of live video are qualities
    timed = quarter.filter(
        pl.col("success_rate") >= 1, (pl.col("job_type") == "transcoding") | (pl.col("round_trip_time") > 1)
    )
    for incident in (incident for incident in QUARTER.incidents() if incident.kind == SLOWNESS):
        during, around = split(timed, incident)
        assert during.height > 5
        assert middle(during["round_trip_time"]) > 2 * middle(around["round_trip_time"])


def test_other_regions_are_not_affected(quarter: pl.DataFrame) -> None:
    for incident in (incident for incident in QUARTER.incidents() if incident.kind == FAILURES):
        elsewhere = quarter.filter(
            pl.col("region") != incident.region,
            pl.col("job_type") == incident.job_type,
            pl.col("event_time").is_between(incident.begin, incident.end),
        )
        assert share(elsewhere["success_rate"] < 1) < 0.4


def test_simulation_can_do_without_incidents() -> None:
    quiet = replace(MONTH, plant_incidents=False)
    assert quiet.incidents() == []
    frame = pl.concat(quiet.frames())
    for incident in MONTH.incidents():
        during = frame.filter(
            pl.col("region") == incident.region,
            pl.col("job_type") == incident.job_type,
            pl.col("event_time").is_between(incident.begin, incident.end),
        )
        assert during.height > 0
        assert share(during["payload"].str.contains('"error_code"')) < 0.6


@pytest.mark.parametrize(("days", "share", "count"), [(3.9, 0.2, 0), (4, 0.2, 1), (40, 0, 10), (40, 1, 10)])
def test_incidents_follow_the_options(days: float, share: float, count: int) -> None:
    incidents = Simulation(1000, UNTIL - timedelta(days=days), UNTIL, ai_share=share).incidents()
    assert len(incidents) == count
    if share in (0, 1):
        assert {incident.job_type for incident in incidents} == {"ai" if share else "transcoding"}
