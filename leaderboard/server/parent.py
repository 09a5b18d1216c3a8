"""A worker whose main process died must end soon: it would keep the port from the next service."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def request_signal_at_death_of_parent(signal_number: signal.Signals) -> None:
    """Has the kernel send this process a signal when its parent dies. Only Linux can do that.

    The parent may have died already, so ask ``is_orphan`` afterwards.
    """
    if sys.platform == "linux":
        # a libc without prctl: then the worker notices a moment later
        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)


def is_orphan(parent: int) -> bool:
    """Whether the process with this id is not the parent any more."""
    return os.getppid() != parent
