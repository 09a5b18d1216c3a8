"""What goes wrong during a trial."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import psutil

from benchmarks.trust.processes.database import EmbeddedDatabase, TrialDatabase
from benchmarks.trust.processes.disk import SmallDisk, fill
from benchmarks.trust.processes.service import POLL_SECONDS, TrialService

STALL_SECONDS = 3.0
"""How long a fault lasts that is no kill."""
MAX_DELAY_SECONDS = 0.3


@dataclass
class Faults:
    """The faults of one trial: each is a method, which returns when its cause has gone."""

    service: TrialService
    database: EmbeddedDatabase
    disk: SmallDisk | None = None
    random: Random = field(default_factory=lambda: Random(0))

    def named(self) -> dict[str, Callable[[], None]]:
        """All faults that this trial can make, by their names."""
        named = {
            "kill a worker": self.kill_worker,
            "kill the master": self.service.kill_master,
            "kill the database": self.database.kill,
            "kill a process of the database": self.database.kill_backend,
            "terminate connections": self.database.terminate_connections,
            "reload": self.service.reload,
            "lock the table": self.lock_table,
            "freeze the database": self.freeze_database,
        }
        if isinstance(self.database, TrialDatabase):
            named |= {
                "stop the database": self.stop_database,
                "restart the database": self.restart_database,
                "cut connections": self.cut_connections,
            }
            if self.database.pooler:
                named["restart the pooler"] = self.database.pooler.restart
        return named if self.disk is None else named | {"fill the disk": self.fill_disk}

    def kill_worker(self) -> None:
        """Sends SIGKILL to one of the workers."""
        workers = self.service.worker_processes()
        if workers:
            try:
                self.random.choice(workers).kill()
            except psutil.NoSuchProcess:
                return

    def stop_database(self) -> None:
        """Stops the database for a while."""
        self.database.stop()
        time.sleep(STALL_SECONDS)
        self.database.start()

    def restart_database(self) -> None:
        """Stops the database and starts it at once."""
        self.database.stop()
        self.database.start()

    def cut_connections(self) -> None:
        """Resets all connections to the database several times, at random moments."""
        assert isinstance(self.database, TrialDatabase)
        for _ in range(5):
            self.database.proxy.cut()
            time.sleep(self.random.random() * MAX_DELAY_SECONDS)

    def lock_table(self) -> None:
        """Keeps writers out of the table for a while."""
        with self.database.locked():
            time.sleep(STALL_SECONDS)

    def freeze_database(self) -> None:
        """Suspends the database for a while."""
        with self.database.frozen():
            time.sleep(STALL_SECONDS)

    def fill_disk(self) -> None:
        """Fills the disk of the database for a while. PostgreSQL may end over that, so it is started again."""
        assert self.disk is not None
        until = time.monotonic() + STALL_SECONDS
        with self.disk.ballast() as ballast:
            while time.monotonic() < until:
                # what PostgreSQL frees meanwhile is filled, too
                fill(ballast)
                time.sleep(POLL_SECONDS)
        if not self.database.is_running():
            self.database.start()
