"""Calls of a cache outside of the process, which may be slow, silent, wrong or gone."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from queries.concurrency import RETRY_SECONDS, OutageLog, run_in_thread
from queries.errors import StoreTimeout, StoreUnavailable

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


class GuardedCalls:
    """Calls with a time limit of ``max_seconds`` each. After one that fails, calls fail at once.

    Every RETRY_SECONDS one of them also runs in the background, where no
    request waits for it. If it succeeds, the next ones are made as before. A
    timeout of the driver alone would not do: it counts from the last byte, and
    a file system has none. ``name`` says in the log what fails.
    """

    def __init__(self, name: str, log: logging.Logger, max_seconds: float) -> None:
        self._name = name
        self._max_seconds = max_seconds
        self._outage_log = OutageLog(name, log)
        self._lock = Lock()
        # None while calls succeed
        self._retry_at: float | None = None
        self._retry: Future[None] | None = None

    @property
    def is_failing(self) -> bool:
        """Whether calls fail at once, because the last one failed."""
        return self._retry_at is not None

    def __call__(self, seconds: float, function: Callable[..., T], *args: object) -> T:
        """What ``function(*args)`` returns or raises. Raises StoreTimeout after ``seconds``, and StoreUnavailable."""
        if self._retry_at is not None:
            self._retry_in_background(function, *args)
            raise StoreUnavailable(f"{self._name} has failed a moment ago")
        outcome = run_in_thread(function, *args)
        try:
            return outcome.result(min(seconds, self._max_seconds))
        except Exception as raised:
            # a TimeoutError may be the call's own
            is_late = isinstance(raised, TimeoutError) and not outcome.done()
            error = StoreTimeout(f"no answer within {self._max_seconds:g} s") if is_late else raised
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._outage_log.failed(error)
            raise error from raised

    def _retry_in_background(self, function: Callable[..., object], *args: object) -> None:
        with self._lock:
            # a call that never ends occupies a thread, so there is one at a time
            is_running = self._retry is not None and not self._retry.done()
            if self._retry_at is not None and time.monotonic() >= self._retry_at and not is_running:
                self._retry = run_in_thread(self._try_again, function, *args)

    def _try_again(self, function: Callable[..., object], *args: object) -> None:
        started = time.monotonic()
        error: Exception | None = None
        try:
            function(*args)
        # whatever it is, the log says it
        except Exception as raised:  # noqa: BLE001
            error = raised
        if error is None and time.monotonic() - started > self._max_seconds:
            error = StoreTimeout(f"no answer within {self._max_seconds:g} s")
        if error is None:
            self._retry_at = None
            self._outage_log.worked()
        else:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._outage_log.failed(error)
