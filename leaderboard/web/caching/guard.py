"""Calls of a cache outside of the process, which may be slow, silent, wrong or gone."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from queries.concurrency import CircuitBreaker, run_in_thread
from queries.errors import StoreTimeout

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


class GuardedCalls:
    """Calls with a time limit each. After one that fails, calls fail fast for a while.

    ``name`` says in the log what fails. A timeout of the driver alone would not
    do: it counts from the last byte, and a file system has none.
    """

    def __init__(self, name: str, log: logging.Logger, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._late: Future[Any] | None = None
        self._breaker = CircuitBreaker(name, log, failures=(Exception,))

    def __call__(self, seconds: float, function: Callable[..., T], *args: object) -> T:
        """What ``function(*args)`` returns or raises. Raises StoreTimeout after ``seconds``, and StoreUnavailable."""
        return cast("T", self._breaker(self._call, seconds, function, *args))

    def _call(self, seconds: float, function: Callable[..., T], *args: object) -> T:
        # a thread waits in each late call, so there must not be ever more of them
        if self._late is not None and not self._late.done():
            raise StoreTimeout("an earlier call has not ended yet")
        outcome = run_in_thread(function, *args)
        try:
            return outcome.result(seconds)
        except TimeoutError:
            if outcome.done():
                # the call itself raised TimeoutError, or ended at the last moment
                return outcome.result()
            self._late = outcome
            raise StoreTimeout(f"no answer within {self._max_seconds:g} s") from None
