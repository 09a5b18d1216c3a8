"""Time-outs for blocking calls, calls that several callers share, and what to do while a neighbour fails."""

from queries.concurrency.bounded_flight import BoundedFlight
from queries.concurrency.coalescing import CallBatcher, KeyedSingleFlight, SingleFlight
from queries.concurrency.outages import RETRY_SECONDS, CircuitBreaker, OutageLog
from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, call_with_timeout, run_in_thread

__all__ = [
    "CLIENT_MARGIN_SECONDS",
    "RETRY_SECONDS",
    "BoundedFlight",
    "CallBatcher",
    "CircuitBreaker",
    "KeyedSingleFlight",
    "OutageLog",
    "SingleFlight",
    "call_with_timeout",
    "run_in_thread",
]
