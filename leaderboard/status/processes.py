"""The worker processes of a service on this machine."""

import os
from datetime import UTC, datetime
from typing import NamedTuple

import psutil


class WorkerProcess(NamedTuple):
    """A worker: its memory in bytes (resident), and since when it runs. ``is_this`` marks the one that answers."""

    pid: int
    memory_bytes: int
    since: datetime
    is_this: bool


def worker_processes() -> list[WorkerProcess]:
    """This worker and the others that its main process has started, the oldest first."""
    own = psutil.Process()
    try:
        siblings = psutil.Process(own.ppid()).children()
    except psutil.Error:
        siblings = []
    # forks of one process share its command line; the embedded PostgreSQL has another one
    command = own.cmdline()
    found = [
        _describe(process, command) for process in {own.pid: own, **{child.pid: child for child in siblings}}.values()
    ]
    return sorted((worker for worker in found if worker is not None), key=lambda worker: (worker.since, worker.pid))


def _describe(process: psutil.Process, command: list[str]) -> WorkerProcess | None:
    """The worker, or None where the process is another program, or has ended."""
    try:
        if process.cmdline() != command:
            return None
        since = datetime.fromtimestamp(process.create_time(), UTC)
        return WorkerProcess(process.pid, process.memory_info().rss, since, process.pid == os.getpid())
    except psutil.Error:
        return None
