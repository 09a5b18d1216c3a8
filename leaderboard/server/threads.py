"""The threads that run requests, and how they call the main loop."""

import contextlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from gunicorn.workers.gthread import PollableMethodQueue

WAKE_UP_BYTES = 64
"""Read at once. There is one, or a few where threads call at the same moment."""


class DaemonThreads:
    """At most ``max_threads`` threads that do not keep their process alive.

    Those of concurrent.futures would: a stopping worker would wait for a
    request that waits for the database.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        self._tasks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def submit(self, task: Callable[[], object]) -> None:
        """Runs the task, which must not raise, on a thread."""
        self._tasks.put(task)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._max_threads:
            thread = threading.Thread(target=self._run, name=f"request-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while True:
            self._tasks.get()()
            self._idle.release()

    def shutdown(self, wait: bool = False) -> None:
        """Nothing: the threads end with the process."""


class MainLoopCalls(PollableMethodQueue):  # type: ignore[misc]  # gunicorn has no types
    """Calls that threads make on the main loop. Unlike gunicorn's, one byte wakes it for all calls that wait."""

    def init(self) -> None:
        """Opens the pipe."""
        super().init()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_woken = False

    def defer(self, callback: Callable[..., object], *args: Any) -> None:
        """Has the main loop call ``callback(*args)``. Any thread may call this."""
        self._calls.append((callback, args))
        if not self._is_woken:
            self._is_woken = True
            # a full pipe wakes it as well
            with contextlib.suppress(BlockingIOError):
                os.write(self._write_fd, b"\0")

    def run_callbacks(self, _fileobj: Any, max_callbacks: int = 0) -> None:  # noqa: ARG002  gunicorn has it
        """Makes the calls that wait."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_fd, WAKE_UP_BYTES)
        # a call from now on wakes it again; the earlier ones are in the queue
        self._is_woken = False
        for _ in range(len(self._calls)):
            callback, args = self._calls.popleft()
            callback(*args)
