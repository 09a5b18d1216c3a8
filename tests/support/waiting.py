"""Waits for what another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def eventually(condition: Callable[[], Result], seconds: float = 60) -> Result:
    """The first true result of the condition. Fails the test if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not true after {seconds} s"
        time.sleep(0.02)
    return result
