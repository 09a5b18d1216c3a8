"""Posts from many connections, and readers, while everything around them is killed."""

import sys
import tempfile
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.trust.database import TrialDatabase
from benchmarks.trust.disk import SmallDisk
from benchmarks.trust.faults import Faults
from benchmarks.trust.service import TrialService
from benchmarks.trust.trial import Trial

SMALL_DISK_MIB = 400
LAKE_SYNC_SECONDS = 3


def run_kills(faults: int, posters: int, readers: int, pause_seconds: float, keep_log: Path | None) -> dict[str, Any]:
    """Makes so many faults, all kinds in turn, and returns what happened as a JSON document."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="leaderboard-trust-")))
        folder.chmod(0o755)
        disk = stack.enter_context(SmallDisk.mounted(folder / "disk", SMALL_DISK_MIB))
        database = stack.enter_context(TrialDatabase(folder / "disk" / "data").running())
        settings = {
            "POSTGRES": database.url,
            "LAKE_URL": str(folder / "lake"),
            "LAKE_SYNC_INTERVAL": str(LAKE_SYNC_SECONDS),
            # an answer of a minute ago would not agree with the ledger
            "PIPELINES_CACHE_TIMEOUT": "0",
        }
        service = TrialService(settings, keep_log or folder / "service.log")
        stack.enter_context(service.running())
        trial = Trial(service.port)
        made = list(islice(cycle(Faults(service, database, disk).named().items()), faults))
        with trial.traffic(posters, readers, pause_seconds):
            rounds = trial.run(made, posts_between=posters * 10)
            for _ in track(rounds, "faults", total=len(made), console=Console(file=sys.stderr)):
                pass
        trial.check(database.stored())
        return trial.as_json() | {"disk_filled": disk is not None}
