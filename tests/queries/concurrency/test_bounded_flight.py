"""Callers of a BoundedFlight wait a moment for a call, and not at all while one hangs."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from queries import StoreTimeout, StoreUnavailable
from queries.concurrency import BoundedFlight
from tests.support.waiting import eventually

LONG_SECONDS = 60


class Neighbour:
    """Answers with the number of the call, when it is allowed to."""

    def __init__(self) -> None:
        self.calls = 0
        self.ended = 0
        self.most_at_once = 0
        self._at_once = 0
        self.error: BaseException | None = None
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self) -> int:
        self.calls += 1
        number, self._at_once = self.calls, self._at_once + 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        assert self.answers.wait(LONG_SECONDS)
        self._at_once -= 1
        self.ended += 1
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def neighbour() -> Neighbour:
    return Neighbour()


def hang(neighbour: Neighbour, flight: BoundedFlight[int]) -> None:
    neighbour.answers.clear()
    with pytest.raises(StoreTimeout, match=r"^the neighbour did not answer within 0\.2 s$"):
        flight()
    assert flight.is_overdue


@pytest.fixture
def flight(neighbour: Neighbour) -> BoundedFlight[int]:
    return BoundedFlight("the neighbour", neighbour, 0.2)


def test_each_call_begins_after_it_was_asked_for(neighbour: Neighbour) -> None:
    flight = BoundedFlight("the neighbour", neighbour, LONG_SECONDS)
    assert [flight(), flight()] == [1, 2]
    neighbour.answers.clear()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(flight)
        eventually(lambda: neighbour.calls == 3)
        others = [pool.submit(flight) for _ in range(5)]
        neighbour.answers.set()
        assert first.result(LONG_SECONDS) == 3
        assert min(other.result(LONG_SECONDS) for other in others) >= 4
    assert neighbour.most_at_once == 1
    assert not flight.is_overdue


def test_nobody_waits_for_a_call_that_hangs(neighbour: Neighbour, flight: BoundedFlight[int]) -> None:
    hang(neighbour, flight)
    threads = threading.active_count()
    for _ in range(1000):
        with pytest.raises(StoreTimeout):
            flight()
    # one call hangs, on one thread
    assert neighbour.calls == 1
    assert threading.active_count() <= threads


def test_first_caller_after_a_call_has_ended_late_gets_a_new_one(
    neighbour: Neighbour, flight: BoundedFlight[int]
) -> None:
    hang(neighbour, flight)
    neighbour.answers.set()
    eventually(lambda: not flight.is_overdue)
    assert flight() == 2


def test_patient_caller_waits_for_a_call_that_is_overdue(neighbour: Neighbour, flight: BoundedFlight[int]) -> None:
    hang(neighbour, flight)
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(flight, LONG_SECONDS)
        with pytest.raises(TimeoutError):
            patient.result(0.5)
        neighbour.answers.set()
        # not the first call, which began before this caller asked
        assert patient.result(LONG_SECONDS) == 2


def test_nobody_waits_long_after_a_call_hung_and_failed(neighbour: Neighbour, flight: BoundedFlight[int]) -> None:
    hang(neighbour, flight)
    neighbour.error = StoreTimeout("no answer")
    neighbour.answers.set()
    eventually(lambda: neighbour.ended == 1)
    neighbour.answers.clear()
    with pytest.raises(StoreTimeout):
        flight(LONG_SECONDS)
    assert flight.is_overdue
    neighbour.error = None
    neighbour.answers.set()
    assert eventually(lambda: attempt(flight))


def attempt(call: Callable[[], int]) -> int | None:
    try:
        return call()
    except StoreTimeout:
        return None


def test_quick_failure_is_raised_and_the_next_call_is_made(neighbour: Neighbour) -> None:
    flight = BoundedFlight("the neighbour", neighbour, LONG_SECONDS)
    neighbour.error = StoreUnavailable("refused")
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"^refused$"):
            flight()
    neighbour.error = None
    assert (flight(), flight.is_overdue) == (4, False)


def test_panic_is_unavailable(neighbour: Neighbour) -> None:
    flight = BoundedFlight("the neighbour", neighbour, LONG_SECONDS)
    neighbour.error = KeyboardInterrupt("out of bounds")
    with pytest.raises(StoreUnavailable, match=r"^the neighbour cannot be read: out of bounds$"):
        flight()
    neighbour.error = None
    assert flight() == 2
