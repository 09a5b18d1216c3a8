"""Threads that wait for a shared call (CallBatcher, SingleFlight, GroupCommit)."""

import sys
import threading
import traceback
from collections.abc import Callable
from typing import TypeVar

from tests.support.waiting import eventually

Result = TypeVar("Result")


class WaitingCallers:
    """Knows which of the callers that it runs wait for a turn, or for the one that does."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def run(self, call: Callable[..., Result], *args: object) -> Result:
        """Makes a call on the thread that runs this."""
        self.threads.add(threading.get_ident())
        return call(*args)

    def wait_for(self, callers: int) -> None:
        """Returns once so many callers wait."""
        assert eventually(lambda: sum(map(is_waiting, tuple(self.threads))) == callers)


def is_waiting(thread: int) -> bool:
    """Whether a caller has joined a batch: it leads the batch, or waits for its result."""
    frame = sys._current_frames().get(thread)
    functions = {frame.f_code.co_name for frame, _ in traceback.walk_stack(frame)} if frame else set()
    return bool(functions & {"_lead", "_follow", "result"})
