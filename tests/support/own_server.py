"""A PostgreSQL of a test's own, which may be stopped, frozen and started again."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from leaderboard.postgres.embedded import EmbeddedPostgres


def postmaster(data_dir: Path) -> int | None:
    """The pid of the server where it runs."""
    file = data_dir / "postgres" / "postmaster.pid"
    if not file.exists():
        return None
    pid = int(file.read_text().splitlines()[0])
    running = psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return pid if running else None


class OwnServer:
    """A PostgreSQL of the test's own, which may be stopped, frozen and started again."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.postgres = EmbeddedPostgres(data_dir)
        self.url = self.postgres.acquire()

    def stop(self) -> None:
        """Takes the server away at once."""
        pid = postmaster(self.data_dir)
        os.kill(pid, signal.SIGQUIT)
        while postmaster(self.data_dir):
            time.sleep(0.05)

    def start(self) -> None:
        """Brings it back."""
        other = EmbeddedPostgres(self.data_dir)
        other.acquire()
        other.release()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While none of its processes runs."""
        master = psutil.Process(postmaster(self.data_dir))
        # it makes no more of them from then on
        master.suspend()
        while master.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        processes = [*master.children(), master]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
