"""A neighbour that fails is not called for a while, and the log says so once."""

import logging

import pytest

from queries import StoreUnavailable
from queries.concurrency import CircuitBreaker, OutageLog

log = logging.getLogger("tests.outages")

FOREVER, AT_ONCE = 3600.0, 0.0


def fail() -> None:
    raise StoreUnavailable("the lake is not available: refused")


def test_failing_neighbour_is_not_called_again() -> None:
    breaker = CircuitBreaker("the lake", log, FOREVER)
    calls = []

    def call() -> None:
        calls.append(None)
        fail()

    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="refused"):
            breaker(call)
    assert len(calls) == 1


def test_neighbour_is_tried_again_after_the_pause() -> None:
    breaker = CircuitBreaker("the lake", log, AT_ONCE)
    with pytest.raises(StoreUnavailable):
        breaker(fail)
    assert breaker(lambda: 7) == 7
    assert breaker(lambda: 8) == 8


def test_other_errors_do_not_open_the_breaker() -> None:
    breaker = CircuitBreaker("the lake", log, FOREVER)
    with pytest.raises(ZeroDivisionError):
        breaker(lambda: 1 / 0)
    assert breaker(lambda: 7) == 7


def test_outage_is_logged_when_it_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    outage_log = OutageLog("the lake", log)
    outage_log.worked()
    for _ in range(1000):
        outage_log.failed(StoreUnavailable("refused"))
    outage_log.worked()
    outage_log.worked()
    assert [record.getMessage() for record in caplog.records] == [
        "the lake fails: refused",
        "the lake works again after 0 s and 1000 failures",
    ]
