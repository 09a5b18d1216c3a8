"""A time limit for blocking calls.

A server that has stopped responding can block a libpq call for ever, whatever
statement_timeout says. Python cannot interrupt such a call, but the caller
need not wait for it: the call runs on a daemon thread, which returns to the
idle threads when the call ends.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from queries.errors import StoreTimeout

T = TypeVar("T")

CLIENT_MARGIN_SECONDS = 1.0
"""The client waits this much longer than the server's own time limit, whose error says more."""


def call_with_timeout(timeout: float, call: Callable[..., T], *args: object) -> T:
    """What ``call(*args)`` returns or raises. Raises StoreTimeout where that takes more than ``timeout`` seconds."""
    outcome = run_in_thread(call, *args)
    try:
        return outcome.result(timeout)
    except TimeoutError as error:
        if outcome.done():
            # the call itself raised TimeoutError, or ended at the last moment
            return outcome.result()
        raise StoreTimeout(f"no answer within {timeout:g} s") from error


def run_in_thread(call: Callable[..., T], *args: object) -> Future[T]:
    """Runs ``call(*args)`` on a daemon thread of its own. The future has what it returns or raises."""
    outcome: Future[T] = Future()
    try:
        # starting a thread takes longer than most calls
        calls = _idle_threads.pop()
    except IndexError:
        calls = SimpleQueue()
        Thread(target=_work, args=(calls,), name="background", daemon=True).start()
    calls.put((outcome, call, args))
    return outcome


_idle_threads: list[SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[object, ...]]]] = []
"""The queues of the threads that wait for a call."""


def _work(calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[object, ...]]]) -> None:
    while True:
        outcome, call, args = calls.get()
        result, error = None, None
        try:
            result = call(*args)
        except BaseException as raised:  # noqa: BLE001  the waiting thread raises it
            error = raised
        _idle_threads.append(calls)
        if error is None:
            outcome.set_result(result)
        else:
            outcome.set_exception(error)
        # the result must not stay in memory until the next call
        del outcome, call, args, result, error
