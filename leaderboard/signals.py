"""Signals that end a process."""

import signal
import sys


def exit_on_signals() -> None:
    """Has SIGTERM and SIGHUP end this process as an exit does, with what is to be done at one; nohup holds."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        signal.signal(number, lambda received, _: sys.exit(128 + received))
