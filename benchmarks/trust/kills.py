"""Posts from many connections, and readers, while everything around them is killed."""

import sys
from itertools import cycle, islice
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.trust.faults import Faults
from benchmarks.trust.setup import Setup
from benchmarks.trust.traffic.trial import Trial


def run_kills(setup: Setup, faults: int, posters: int, readers: int, pause_seconds: float) -> dict[str, Any]:
    """Makes so many faults, all kinds in turn, and returns what happened as a JSON document."""
    trial = Trial(setup.port)
    made = list(islice(cycle(Faults(setup.service, setup.database, setup.disk).named().items()), faults))
    with trial.traffic(posters, readers, pause_seconds):
        rounds = trial.run(made, posts_between=posters * 10)
        for _ in track(rounds, "faults", total=len(made), console=Console(file=sys.stderr)):
            pass
    trial.check(setup.database.stored())
    return trial.as_json() | {"disk_filled": setup.disk is not None}
