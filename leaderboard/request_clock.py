"""When the request that a thread serves came in, which was before the thread had it."""

import time
from contextvars import ContextVar

_began: ContextVar[float] = ContextVar("request_began")


def set_request_began(moment: float) -> None:
    """Notes when the request of this thread came: a moment of time.monotonic()."""
    _began.set(moment)


def request_began() -> float:
    """When the request of this thread came, a moment of time.monotonic(); now, where the server does not tell."""
    return _began.get(time.monotonic())
