"""A limit on how long a blocking call is waited for.

A server that has stopped answering holds a libpq call for ever, whatever the
server's own statement_timeout says. The call cannot be interrupted, but its
caller need not wait for it: it runs on a daemon thread, which ends, and gives
back what it holds, whenever the call does.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from queries.errors import StoreTimeout

T = TypeVar("T")

CLIENT_MARGIN_SECONDS = 1.0
"""Seconds by which the client waits longer than the server's own time-out, which says more."""


def call_with_timeout(seconds: float, call: Callable[..., T], *args: object) -> T:
    """What ``call(*args)`` returns or raises; StoreTimeout where that takes more than ``seconds``."""
    outcome = run_in_thread(call, *args)
    try:
        return outcome.result(seconds)
    except TimeoutError as error:
        if outcome.done():
            # its own time-out, or what it came to at the last moment
            return outcome.result()
        raise StoreTimeout(f"no answer within {seconds:g} s") from error


def run_in_thread(call: Callable[..., T], *args: object) -> Future[T]:
    """What ``call(*args)`` will return or raise, on a daemon thread that has nothing else to do."""
    outcome: Future[T] = Future()
    try:
        # to start a thread costs more than most calls
        calls = _idle.pop()
    except IndexError:
        calls = SimpleQueue()
        Thread(target=_work, args=(calls,), name="background", daemon=True).start()
    calls.put((outcome, call, args))
    return outcome


_idle: list[SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[object, ...]]]] = []


def _work(calls: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[object, ...]]]) -> None:
    while True:
        outcome, call, args = calls.get()
        try:
            done, result = outcome.set_result, call(*args)
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            done, result = outcome.set_exception, error
        _idle.append(calls)
        done(result)
        # what was returned is not to be kept until the next call
        del outcome, call, args, done, result
