"""The orchestrators of a simulated network: who they are, where, how large, and how they behave."""

from datetime import datetime
from math import exp, pi
from random import Random
from typing import Any, NamedTuple

import polars as pl

from leaderboard.simulation.places import read_data

DAY_SECONDS = 86_400.0
CHANGES_PER_DAY = 0.3 / 365
"""The rate at which an orchestrator arrives, and at which it departs: 26 % of them each within a year."""
SHARE_LARGE, SHARE_MEDIUM = 0.07, 0.35


class Size(NamedTuple):
    """What orchestrators of one size have: from and to how many places and AI jobs, and how far they reach."""

    sites: tuple[int, int]
    jobs: tuple[int, int]
    runs_ai: float
    """The share that runs AI jobs, of those for which the data says nothing."""
    reach: tuple[float, float]
    """The share of the regions in which they can be tested."""


LARGE = Size(sites=(2, 4), jobs=(4, 7), runs_ai=1.0, reach=(1.0, 1.0))
MEDIUM = Size(sites=(1, 2), jobs=(1, 3), runs_ai=0.25, reach=(0.7, 1.0))
SMALL = Size(sites=(1, 1), jobs=(1, 1), runs_ai=0.05, reach=(0.2, 0.7))


class Network(NamedTuple):
    """A simulated network, as three frames.

    ``orchestrators``: node (UInt32), orchestrator (address), and all Float64:
    reliability (share of jobs that succeed), slowness (factor of the times),
    load (share of the time in which it is busy), cold (share of jobs for which
    the model must be loaded), wobble, period and phase (amplitude, seconds and
    radians of a drift), spell_period and spell_phase (of its bad weeks), start
    (0..1, where in a round its tests begin), reach (share of regions); arrives and
    departs (Int64, microseconds since 1970, or null).

    ``sites``: node, service_uri, and latitude and longitude in degrees.

    ``jobs``: node, pipeline, model, base_seconds and base_fps (of the job on the
    node's GPU; the second for live video only).
    """

    orchestrators: pl.DataFrame
    sites: pl.DataFrame
    jobs: pl.DataFrame


def draw_network(random: Random, count: int, since: datetime, until: datetime) -> Network:
    """A network of so many orchestrators. Those of the data come first, the others are invented.

    The first is large, runs AI jobs, and is there from beginning to end.
    """
    data = read_data("network.json")
    known = [*data["orchestrators"], *({"address": f"0x{random.getrandbits(160):040x}"} for _ in range(count))]
    orchestrators, sites, jobs = [], [], []
    for node, entry in enumerate(known[:count]):
        size = LARGE if node == 0 else _draw_size(random, entry)
        reach = random.uniform(*size.reach)
        lifetime = (None, None) if node == 0 else _draw_lifetime(random, since, until)
        orchestrators.append(
            {"node": node, "orchestrator": entry["address"], "reach": reach}
            | _draw_behaviour(random)
            | dict(zip(("arrives", "departs"), lifetime, strict=True))
        )
        sites += [{"node": node} | site for site in _draw_sites(random, entry["address"], size)]
        jobs += [{"node": node} | job for job in _draw_jobs(random, data, entry, size)]
    return Network(
        pl.DataFrame(orchestrators, schema_overrides={"node": pl.UInt32, "arrives": pl.Int64, "departs": pl.Int64}),
        pl.DataFrame(sites, schema_overrides={"node": pl.UInt32}),
        pl.DataFrame(jobs, schema_overrides={"node": pl.UInt32, "base_fps": pl.Float64}),
    )


def _draw_size(random: Random, entry: dict[str, Any]) -> Size:
    draw = random.random()
    if draw < SHARE_LARGE:
        return LARGE
    return MEDIUM if draw < SHARE_LARGE + SHARE_MEDIUM or "jobs" in entry else SMALL


def _draw_behaviour(random: Random) -> dict[str, float]:
    return {
        # most are good, some are bad
        "reliability": 0.997 - random.random() ** 7 * 0.7,
        "slowness": random.lognormvariate(0, 0.35),
        "load": random.random() ** 4 * 0.25,
        "cold": random.random() ** 3 * 0.6,
        "wobble": random.random() * 0.25,
        "period": random.uniform(15, 60) * DAY_SECONDS,
        "phase": random.uniform(0, 2 * pi),
        "spell_period": random.uniform(40, 120) * DAY_SECONDS,
        "spell_phase": random.uniform(0, 2 * pi),
        "start": random.random(),
    }


def _draw_lifetime(random: Random, since: datetime, until: datetime) -> tuple[int | None, int | None]:
    """When the orchestrator arrives and departs, in microseconds since 1970. None is before or after the time.

    It is there for a tenth of the time at least.
    """
    start, end = (round(moment.timestamp() * 1e6) for moment in (since, until))
    changes = 1 - exp(-CHANGES_PER_DAY * (end - start) / 1e6 / DAY_SECONDS)
    arrives_draw, departs_draw, *draws = (random.random() for _ in range(4))
    first, second = sorted(draws)
    arrives = start + round((end - start) * 0.9 * first)
    departs = start + round((end - start) * (0.1 + 0.9 * second))
    return arrives if arrives_draw < changes else None, departs if departs_draw < changes else None


def _draw_sites(random: Random, address: str, size: Size) -> list[dict[str, Any]]:
    cities = read_data("places.json")["cities"]
    chosen: list[dict[str, Any]] = []
    for _ in range(random.randint(*size.sites)):
        left = [city for city in cities if city not in chosen]
        chosen += random.choices(left, [city["share"] for city in left])
    return [
        {
            "service_uri": f"https://{city['city']}.{address[2:8]}.example.org:8935",
            "latitude": city["latitude"],
            "longitude": city["longitude"],
        }
        for city in chosen
    ]


def _draw_jobs(random: Random, data: dict[str, Any], entry: dict[str, Any], size: Size) -> list[dict[str, Any]]:
    """The AI jobs that the data names for the orchestrator, and others if it is large or invented."""
    known = entry.get("jobs", [])
    named = [job for job in data["jobs"] if [job["pipeline"], job["model"]] in known]
    others = [job for job in data["jobs"] if job not in named]
    if size is LARGE or (not known and random.random() < size.runs_ai):
        named += random.sample(others, max(0, random.randint(*size.jobs) - len(named)))
    gpu = random.choice(entry.get("gpus") or list(data["gpus"]))
    speed = data["gpus"][gpu]
    return [
        {
            "pipeline": job["pipeline"],
            "model": job["model"],
            "base_seconds": job.get("seconds", 0.0) / speed,
            "base_fps": job["frames_per_second"] * speed**0.5 if "frames_per_second" in job else None,
        }
        for job in named
    ]
