"""Simulated results, as a network of orchestrators and testers would produce them.

Everything follows from the seed. Each orchestrator has a reliability and a
speed of its own, which drift over weeks, and a distance from each region.
Testers are busier by day than by night.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from math import pi, sin
from random import Random

import polars as pl

from leaderboard.simulation.jobs import DAY_SECONDS, DRAWS, simulate_ai_jobs, simulate_transcoding_jobs

BATCH_ROWS = 50_000


@dataclass(frozen=True)
class Simulation:
    """The options of a simulation.

    ``events`` results are received between ``since`` and ``until`` (aware
    datetimes); a share ``ai_share`` (0..1) of them is of AI jobs.
    """

    events: int
    since: datetime
    until: datetime
    seed: int = 1
    orchestrators: int = 100
    ai_share: float = 0.2

    def frames(self) -> Iterator[pl.DataFrame]:
        """The results, sorted by time, in frames of at most BATCH_ROWS rows.

        Columns: event_time (Datetime(us, UTC)), orchestrator, region,
        job_type, payload (String, the result as JSON).
        """
        random = Random(self.seed)
        network = json.loads((files("leaderboard.simulation") / "network.json").read_text(encoding="utf-8"))
        nodes = _draw_nodes(random, network["orchestrators"], self.orchestrators)
        models = pl.DataFrame(network["jobs"]).with_columns(
            seconds=pl.Series([0.5 + 8 * random.random() for _ in network["jobs"]])
        )
        for times in _draw_times(random, self.since, self.until, self.events):
            # column by column: another order of the draws would make other results for the same seed
            draws = pl.DataFrame({"moment": times} | {name: [random.random() for _ in times] for name in DRAWS})
            is_ai = pl.col("ai_draw") < self.ai_share
            parts = (
                simulate_transcoding_jobs(draws.filter(~is_ai), nodes),
                simulate_ai_jobs(draws.filter(is_ai), nodes, models),
            )
            yield pl.concat(parts).sort("event_time")


def _draw_nodes(random: Random, known_addresses: list[str], count: int) -> pl.DataFrame:
    """One row per orchestrator: its address, and how it behaves.

    Columns beside orchestrator, all Float64: reliability (share of jobs that
    succeed), slowness (factor of the times), wobble (amplitude of their drift),
    period (of the drift, in seconds), phase (of the drift, in radians), home
    (where it is, 0..1, like the regions).
    """
    addresses = [*known_addresses, *(f"0x{random.getrandbits(160):040x}" for _ in range(count))][:count]
    return pl.DataFrame(
        [
            {
                "orchestrator": address,
                # most are good, some are bad
                "reliability": 1 - random.random() ** 4 * 0.8,
                "slowness": 0.4 + random.random() ** 2 * 3,
                "wobble": random.random() * 0.3,
                "period": (10 + 40 * random.random()) * DAY_SECONDS,
                "phase": 2 * pi * random.random(),
                "home": random.random(),
            }
            for address in addresses
        ]
    )


def _draw_times(random: Random, since: datetime, until: datetime, count: int) -> Iterator[list[datetime]]:
    """Sorted moments in batches. The hour at noon (UTC) has three times as many as the hour at midnight."""
    start, seconds = since.timestamp(), (until - since).total_seconds()
    hours = max(1, round(seconds / 3600))
    weights = [
        1 - 0.5 * sin(2 * pi * ((start + (hour + 0.5) * seconds / hours) / DAY_SECONDS + 0.25)) for hour in range(hours)
    ]
    total_weight, weight_so_far, drawn = sum(weights), 0.0, 0
    batch: list[float] = []
    for hour, weight in enumerate(weights):
        weight_so_far += weight
        # the running sum is rounded, so that exactly ``count`` moments are drawn
        in_hour = round(count * weight_so_far / total_weight) - drawn
        drawn += in_hour
        batch += sorted(start + (hour + random.random()) * seconds / hours for _ in range(in_hour))
        while len(batch) >= BATCH_ROWS:
            yield _to_datetimes(batch[:BATCH_ROWS])
            batch = batch[BATCH_ROWS:]
    if batch:
        yield _to_datetimes(batch)


def _to_datetimes(timestamps: list[float]) -> list[datetime]:
    return [datetime.fromtimestamp(timestamp, UTC) for timestamp in timestamps]
