"""A service over a simulated network, with a database of its own."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.service import LEADERBOARD, MeasuredService, environment
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.migrations import migrate


@contextmanager
def simulated_service(results: int, days: int, **settings: str) -> Iterator[MeasuredService]:
    """A service with one worker over so many results of 100 orchestrators, the last of them from now."""
    with tempfile.TemporaryDirectory(prefix="leaderboard-pages-") as folder:
        # the database may run as another user
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder))
        url = postgres.acquire()
        try:
            migrate(url, 20)
            command = [LEADERBOARD, "simulate", str(results), "--days", str(days)]
            subprocess.run(command, env=environment(POSTGRES=url), check=True, stderr=subprocess.DEVNULL)
            with MeasuredService(url, 1, **settings) as service:
                yield service
        finally:
            postgres.release()
