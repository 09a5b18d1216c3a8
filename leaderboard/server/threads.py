"""The threads that run requests."""

import queue
import threading
from collections.abc import Callable


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
