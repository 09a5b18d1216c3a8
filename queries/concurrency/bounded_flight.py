"""One call for several callers, who wait for it no longer than a moment."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from queries.concurrency.timeouts import run_in_thread
from queries.errors import StoreTimeout, StoreUnavailable, first_line

T = TypeVar("T")

PROBE_SECONDS = 0.1
"""How long a caller waits for the first call after one that hung: the neighbour may be well again."""


class BoundedFlight(Generic[T]):
    """Runs ``call`` on a thread, one call at a time, for callers who wait at most ``patience`` seconds for it.

    Callers that come while a call runs share the next one, so the call that
    serves a caller never began before that caller asked. A call that takes
    longer than ``patience`` is overdue. It goes on, and callers get
    StoreTimeout at once until a call has ended well. So a call that hangs
    keeps one thread busy, however many callers there are.

    ``neighbour`` is what the call asks, for the error: "the database".
    """

    def __init__(self, neighbour: str, call: Callable[[], T], patience: float) -> None:
        self._neighbour = neighbour
        self._call = call
        self._patience = patience
        self._lock = Lock()
        self._running: _Flight[T] | None = None
        self._next: _Flight[T] | None = None
        # a call was overdue, and none has ended well since
        self._hangs = False
        # the overdue call has ended, with an error
        self._failed_late = False

    @property
    def is_overdue(self) -> bool:
        """Whether callers would get StoreTimeout at once, or nearly so."""
        running = self._running
        return self._hangs or (running is not None and running.is_overdue)

    def __call__(self, timeout: float | None = None) -> T:
        """What a call returns, or raises, that began after this one was asked for.

        Raises StoreTimeout where that takes longer than ``patience``. With
        ``timeout``, waits for so many seconds even for a call that is
        overdue; but only ``patience`` once such a call has failed.
        """
        asked = time.monotonic()
        with self._lock:
            before = self._running
            self._hangs = hangs = self._hangs or (before is not None and before.is_overdue)
            if hangs and before is not None and timeout is None:
                raise self._timeout_error(self._patience)
            flight = self._enqueue()
            if timeout is not None and self._failed_late:
                timeout = min(timeout, self._patience)
        if timeout is not None:
            return self._wait(flight, asked + timeout, timeout)
        if hangs:
            return self._wait(flight, asked + PROBE_SECONDS, self._patience)
        if before is not None and not flight.has_ended_by(before.overdue_at) and not before.outcome.done():
            raise self._timeout_error(self._patience)
        # the flight has begun by now
        return self._wait(flight, flight.overdue_at, self._patience)

    def _enqueue(self) -> "_Flight[T]":
        """The next flight to begin. Begins it if none is running."""
        if self._running is None:
            self._running = _Flight(self._patience)
            run_in_thread(self._run, self._running)
            return self._running
        if self._next is None:
            self._next = _Flight(self._patience)
        return self._next

    def _wait(self, flight: "_Flight[T]", deadline: float, seconds: float) -> T:
        if flight.has_ended_by(deadline):
            return flight.outcome.result()
        raise self._timeout_error(seconds)

    def _timeout_error(self, seconds: float) -> StoreTimeout:
        return StoreTimeout(f"{self._neighbour} did not answer within {seconds:g} s")

    def _run(self, first: "_Flight[T]") -> None:
        """Makes the call of a flight, and those of the flights that are asked for meanwhile."""
        flight: _Flight[T] | None = first
        while flight is not None:
            result: list[T] = []
            error: Exception | None = None
            try:
                result.append(self._call())
            except Exception as raised:  # noqa: BLE001  the callers raise it
                error = raised
            except BaseException as raised:  # noqa: BLE001  a panic must not end the callers' threads
                error = StoreUnavailable(f"{self._neighbour} cannot be read: {first_line(raised)}")
            with self._lock:
                if error is None or not flight.is_overdue:
                    self._hangs = self._failed_late = False
                else:
                    self._hangs = self._failed_late = True
                following, self._next = self._next, None
                self._running = following
                if following is not None:
                    following.begin()
            if error is None:
                flight.outcome.set_result(result.pop())
            else:
                flight.outcome.set_exception(error)
            flight = following


class _Flight(Generic[T]):
    """One call: when it is overdue (time.monotonic), and its outcome."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.outcome: Future[T] = Future()
        self.begin()

    def begin(self) -> None:
        """Starts the time in which the call should end."""
        self.overdue_at = time.monotonic() + self._patience

    @property
    def is_overdue(self) -> bool:
        """Whether the call has taken too long."""
        return time.monotonic() >= self.overdue_at

    def has_ended_by(self, deadline: float) -> bool:
        """Waits until the call has ended, at most until the deadline. Returns whether it has."""
        try:
            self.outcome.exception(max(0, deadline - time.monotonic()))
        except TimeoutError:
            return self.outcome.done()
        return True
