"""Signals that end a process."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def exit_on_signals() -> None:
    """Makes SIGTERM and SIGHUP end this process like sys.exit(), so that exit handlers run. nohup stays in effect."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: sys.exit(128 + received))


@contextmanager
def defer_signals() -> Iterator[None]:
    """Has the signals that arrive during a block take effect at its end.

    Use it where an exception in the middle would lose track of something that
    must be undone, such as a process that was started and not yet noted.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python runs the handlers of signals on the main thread only
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    # a child inherits that a signal is ignored; None is a handler that Python does not know
    replaced = {number: handler for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}
    for number in replaced:
        signal.signal(number, lambda received, _: arrived.append(received))
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        for received in arrived:
            signal.raise_signal(received)
