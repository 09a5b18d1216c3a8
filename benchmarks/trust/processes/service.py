"""The service on trial: started, killed and started again on the same port, as a supervisor does it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.trust.traffic.client import BrokenConnection, Client
from benchmarks.trust.traffic.posters import SECRET

LEADERBOARD = str(Path(sys.executable).with_name("leaderboard"))
MAX_WAIT_SECONDS = 180.0
"""Long enough for a slow machine. What takes longer has failed."""
POLL_SECONDS = 0.05

T = TypeVar("T")


class TrialError(Exception):
    """The trial cannot go on."""


def wait_for(condition: Callable[[], T], what: str) -> T:
    """The first true result of the condition. Raises TrialError after MAX_WAIT_SECONDS."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TrialError(f"{what}: not within {MAX_WAIT_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    return result


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class TrialService:
    """``leaderboard serve`` with these settings, whose log goes to a file."""

    settings: dict[str, str]
    log: Path
    workers: int = 2
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator["TrialService"]:
        """Runs it until the end of the ``with`` statement."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @staticmethod
    def environment(**settings: str) -> dict[str, str]:
        """The environment of this process with these settings."""
        return os.environ | settings

    def start(self) -> None:
        """Returns when it answers. Tries again where it ends, as while workers of a killed master hold the port."""
        wait_for(self._start_once, "the service does not start")

    def stop(self) -> int:
        """Sends SIGTERM, and returns the exit status."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(MAX_WAIT_SECONDS)

    def reload(self) -> None:
        """Sends SIGHUP, and returns when the old workers have ended."""
        old = self.worker_processes()
        self._master().send_signal(signal.SIGHUP)
        wait_for(lambda: not any(worker.is_running() for worker in old), "old workers do not end")

    def kill_master(self) -> None:
        """Sends SIGKILL to the master, and starts the service again."""
        self._master().kill()
        if self.process is not None:
            self.process.wait()
        self.start()

    def worker_processes(self) -> list[psutil.Process]:
        """The workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            # an embedded server is a child of the master as well
            return [child for child in self._master().children() if "postgres" not in child.name()]
        return []

    def processes(self) -> list[psutil.Process]:
        """The master and the workers."""
        return [self._master(), *self.worker_processes()]

    def worker_memory_mib(self) -> float:
        """The memory of the largest worker in MiB."""
        sizes = [0]
        for worker in self.worker_processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                sizes.append(worker.memory_info().rss)
        return max(sizes) / 2**20

    def answers(self) -> bool:
        """Whether a worker answers, be it that the database is unavailable."""
        client = Client(self.port)
        try:
            return client.request("GET", "/api/health").status in (200, 503)
        except BrokenConnection:
            return False
        finally:
            client.close()

    def _start_once(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            command = [LEADERBOARD, "serve", "--host", "127.0.0.1", "--port", str(self.port)]
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [*command, "--workers", str(self.workers)],
                    env=self.environment(SECRET=SECRET, **self.settings),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        return self.answers() and bool(self.worker_processes())

    def _master(self) -> psutil.Process:
        if self.process is None:
            raise TrialError("the service was not started")
        return psutil.Process(self.process.pid)
