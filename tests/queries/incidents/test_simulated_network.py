"""The incidents of a simulated network are found, and no others."""

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.simulation.generator import Simulation
from queries import INCIDENT_EVENT_COLUMNS, PostgresEvents, collect, incidents
from tests.conftest import rows

pytestmark = pytest.mark.slow

UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=30)
EVENTS = 60_000


def simulate(database: str, seed: int, *, plant_incidents: bool = True) -> tuple[pl.DataFrame, Simulation]:
    """The events of a simulated month, as the database has them."""
    simulation = Simulation(EVENTS, SINCE, UNTIL, seed=seed, plant_incidents=plant_incidents)
    rows(database, "TRUNCATE events")
    with closing(Database(database, 60)) as pool:
        registry = RegionRegistry(pool, 60)
        for frame in simulation.frames():
            writer.copy(pool, registry, frame)
    with closing(PostgresEvents(database, timeout=60)) as source:
        return collect(source.window(SINCE, UNTIL).select(INCIDENT_EVENT_COLUMNS)), simulation


def test_planted_incidents_are_found_and_few_others(database: str) -> None:
    planted, found, false = 0, 0, Counter[tuple[str, str]]()
    for seed in (1, 2):
        events, simulation = simulate(database, seed)
        detected = incidents(events).to_dicts()
        expected = simulation.incidents()
        planted += len(expected)
        for row in detected:
            same = [
                one
                for one in expected
                if (one.region, one.job_type, one.kind) == (row["region"], row["job_type"], row["kind"])
                and one.begin < row["end"]
                and row["begin"] < one.end
            ]
            expected = [one for one in expected if one not in same]
            found += len(same)
            if not same:
                false[row["region"], row["job_type"]] += 1
    assert planted >= 14
    assert found >= 0.95 * planted
    # of two months
    assert max(false.values(), default=0) <= 2


def test_month_without_planted_incidents_has_none(database: str) -> None:
    events, _ = simulate(database, 3, plant_incidents=False)
    assert incidents(events).is_empty()
