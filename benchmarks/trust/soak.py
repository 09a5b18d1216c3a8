"""A steady mixed load, and whether processes grow under it."""

import random
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from itertools import combinations
from threading import Event
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.trust.processes.database import EmbeddedDatabase
from benchmarks.trust.processes.service import TrialService
from benchmarks.trust.traffic.client import BrokenConnection, Client
from benchmarks.trust.traffic.request_counts import RequestCounts
from benchmarks.trust.traffic.threads import running
from benchmarks.trust.traffic.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_SECONDS = 5.0
WARM_UP_SHARE = 0.5
"""The first part of a soak, in which caches fill."""
MEBIBYTE = 2**20
STRANGERS = 2
STRANGER_PAUSE_SECONDS = 0.2

Sample = dict[str, float]


def run_soak(
    service: TrialService, database: EmbeddedDatabase, minutes: float, report: Callable[[str], None]
) -> dict[str, Any]:
    """Sends posts and requests of all kinds for so long, and says how each process grew after the warm-up."""
    trial, samples, began = Trial(service.port), dict[str, list[Sample]](), time.monotonic()
    with trial.traffic(posters=4, readers=4, pause_seconds=0.2), strangers(service.port, trial.counts):
        while time.monotonic() - began < minutes * 60:
            time.sleep(SAMPLE_SECONDS)
            moment = time.monotonic() - began
            for name, sample in _sample(service, database).items():
                samples.setdefault(name, []).append({"minutes": moment / 60} | sample)
            report(f"{moment / 60:.1f} of {minutes:g} minutes")
    # results without a number are the simulated ones
    trial.check([(address, number) for address, number in database.stored() if number >= 0])
    return {"growth": {name: measure_growth(found) for name, found in samples.items()}} | trial.as_json()


@contextmanager
def strangers(port: int, counts: RequestCounts) -> "Iterator[None]":
    """Clients that ask for what nobody asked before, for files, and for what does not exist."""
    with running([partial(_ask_anything, port, counts, seed) for seed in range(STRANGERS)]):
        yield


def _ask_anything(port: int, counts: RequestCounts, seed: int, stopped: Event) -> None:
    client, chance = Client(port), random.Random(seed)
    while not stopped.wait(STRANGER_PAUSE_SECONDS):
        since = time.time() - chance.uniform(0, 10**7)
        method, path = chance.choice((
            ("GET", f"/api/score_history?since={since}"),
            ("GET", f"/api/leaderboard?since={since}&limit=10"),
            ("GET", f"/api/aggregated_stats?since={since}&format=parquet"),
            ("GET", f"/api/leaderboard?since={since}&format=csv"),
            ("GET", f"/api/raw_stats?orchestrator=0x{chance.randrange(40):040x}&since={since}&format=arrow"),
            ("GET", "/api/regions"),
            ("GET", f"/api/nothing/{chance.random()}"),
            ("GET", "/api/aggregated_stats?since=yesterday"),
            ("DELETE", "/api/raw_stats"),
            ("POST", "/api/post_stats"),
        ))  # fmt: skip
        try:
            counts.count("strangers", client.request(method, path, b"{" if method == "POST" else None))
        except BrokenConnection as error:
            counts.count_broken("strangers", error)
    client.close()


def _sample(service: TrialService, database: EmbeddedDatabase) -> dict[str, Sample]:
    """What each process of the service holds now, and the database's connections."""
    samples: dict[str, Sample] = {"the database": {"connections": database.connections()}}
    with suppress(psutil.NoSuchProcess):
        for process in service.processes():
            memory = process.memory_full_info()
            samples[f"process {process.pid}"] = {
                "rss_mib": memory.rss / MEBIBYTE,
                "uss_mib": memory.uss / MEBIBYTE,
                "threads": process.num_threads(),
                "files": process.num_fds(),
            }
    return samples


def measure_growth(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """By measure: its median after the warm-up, its largest value, and its growth per minute as the median slope."""
    steady = samples[int(len(samples) * WARM_UP_SHARE) :]
    return {
        measure: {
            "median": round(statistics.median(sample[measure] for sample in steady), 1),
            "max": round(max(sample[measure] for sample in samples), 1),
            "per_minute": round(_median_slope([(sample["minutes"], sample[measure]) for sample in steady]), 3),
        }
        for measure in samples[0]
        if measure != "minutes"
    }


def _median_slope(points: list[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs of points (Theil and Sen), which outliers do not move."""
    slopes = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in combinations(points, 2)]
    return statistics.median(slopes) if slopes else 0.0
