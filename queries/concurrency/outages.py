"""What a process does while a neighbour (database, lake, cache, document) fails: fail fast, and log once."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from queries.errors import StoreError, StoreUnavailable, first_line

T = TypeVar("T")

RETRY_SECONDS = 5.0
"""How long a neighbour that failed is not called again."""
REMINDER_SECONDS = 60.0
"""How often the log says that an outage goes on."""


class OutageLog:
    """Logs when a neighbour begins to fail, every REMINDER_SECONDS while it does, and when it works again.

    ``neighbour`` is its name in the log. Threads may share an OutageLog.
    """

    def __init__(self, neighbour: str, log: logging.Logger) -> None:
        self._neighbour = neighbour
        self._log = log
        self._lock = Lock()
        self._since: float | None = None
        self._failures = 0
        self._next_reminder = 0.0

    def failed(self, error: Exception) -> None:
        """Notes a failed call. The first one of an outage is logged, with its reason."""
        now = time.monotonic()
        with self._lock:
            began = self._since is None
            if self._since is None:
                self._since, self._failures, self._next_reminder = now, 0, now + REMINDER_SECONDS
            self._failures += 1
            count, seconds = self._failures, now - self._since
            reminds = now >= self._next_reminder
            if reminds:
                self._next_reminder = now + REMINDER_SECONDS
        if began:
            self._log.warning("%s fails: %s", self._neighbour, first_line(error))
        elif reminds:
            self._log.warning(
                "%s has failed for %.0f s, %s times: %s", self._neighbour, seconds, count, first_line(error)
            )

    def worked(self) -> None:
        """Notes a call that worked. The first one after an outage is logged."""
        # without the lock: nearly every call works
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
            count = self._failures
        if since is not None:
            seconds = time.monotonic() - since
            self._log.warning("%s works again after %.0f s and %s failures", self._neighbour, seconds, count)


class CircuitBreaker:
    """Calls a neighbour. After a failure it fails fast for ``retry_seconds``, then one call tries again.

    ``failures`` are the errors that mean that the neighbour is at fault.
    Other errors rise as they are. Outages are logged as by OutageLog.
    """

    def __init__(
        self,
        neighbour: str,
        log: logging.Logger,
        retry_seconds: float = RETRY_SECONDS,
        failures: tuple[type[Exception], ...] = (StoreError,),
    ) -> None:
        self._neighbour = neighbour
        self._retry_seconds = retry_seconds
        self._failures = failures
        self._outage_log = OutageLog(neighbour, log)
        self._lock = Lock()
        self._reason: str | None = None
        self._retry_at = 0.0

    def __call__(self, function: Callable[..., T], *args: object) -> T:
        """What ``function(*args)`` returns or raises. Raises StoreUnavailable at once during an outage."""
        self._check()
        try:
            result = function(*args)
        except self._failures as error:
            with self._lock:
                self._reason = first_line(error)
                self._retry_at = time.monotonic() + self._retry_seconds
            self._outage_log.failed(error)
            raise
        self._reason = None
        self._outage_log.worked()
        return result

    def _check(self) -> None:
        if self._reason is None:
            return
        with self._lock:
            reason, now = self._reason, time.monotonic()
            if reason is None:
                return
            if now >= self._retry_at:
                # this call tries; the others go on failing fast meanwhile
                self._retry_at = now + self._retry_seconds
                return
        error = StoreUnavailable(f"{self._neighbour} is not available: {reason}")
        self._outage_log.failed(error)
        raise error
