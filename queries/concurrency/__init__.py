"""Time-outs for blocking calls, and calls that several callers share."""

from queries.concurrency.coalescing import CallBatcher, KeyedSingleFlight, SingleFlight
from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, call_with_timeout, run_in_thread

__all__ = [
    "CLIENT_MARGIN_SECONDS",
    "CallBatcher",
    "KeyedSingleFlight",
    "SingleFlight",
    "call_with_timeout",
    "run_in_thread",
]
