"""Signals that end a process."""

import signal
import sys


def exit_on_signals() -> None:
    """Makes SIGTERM and SIGHUP exit the process in the normal way, with its exit handlers.

    A signal that is ignored stays so, as SIGHUP is under nohup.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda received, _: sys.exit(128 + received))
