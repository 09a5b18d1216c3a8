"""Callers with one key share the call that runs for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Semaphore

import pytest

from queries.concurrency import KeyedSingleFlight
from queries.errors import StoreTimeout

CALLERS = 6


class WatchedKey:
    """A key that says when it is looked up: from then on its caller belongs to the running call."""

    def __init__(self, name: str, lookups: Semaphore) -> None:
        self.name = name
        self.lookups = lookups

    def __hash__(self) -> int:
        self.lookups.release()
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WatchedKey) and self.name == other.name


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        yield pool


def call_together(
    flights: KeyedSingleFlight[WatchedKey, int], pool: ThreadPoolExecutor, finish: Callable[[], int]
) -> list[Future[int]]:
    """The outcomes of one caller whose call ends with ``finish``, and of others that join before that."""
    entered, opened = Event(), Event()

    def call() -> int:
        entered.set()
        assert opened.wait(20)
        return finish()

    def never() -> int:
        raise AssertionError("a second call for the same key")

    first = pool.submit(flights, WatchedKey("key", Semaphore()), call)
    assert entered.wait(20)
    lookups = Semaphore(0)
    others = [pool.submit(flights, WatchedKey("key", lookups), never) for _ in range(CALLERS)]
    for _ in range(CALLERS):
        assert lookups.acquire(timeout=20)
    opened.set()
    return [first, *others]


def test_callers_share_the_running_call(pool: ThreadPoolExecutor) -> None:
    outcomes = call_together(KeyedSingleFlight(), pool, lambda: 5)
    assert [outcome.result(20) for outcome in outcomes] == [5] * (1 + CALLERS)


def test_callers_share_an_error(pool: ThreadPoolExecutor) -> None:
    outcomes = call_together(KeyedSingleFlight(), pool, lambda: 1 // 0)
    assert [type(outcome.exception(20)) for outcome in outcomes] == [ZeroDivisionError] * (1 + CALLERS)


def test_later_caller_makes_its_own_call_even_after_an_error() -> None:
    flights: KeyedSingleFlight[str, int] = KeyedSingleFlight()
    with pytest.raises(ZeroDivisionError):
        flights("key", lambda: 1 // 0)
    assert flights("key", lambda: 1) == 1
    assert flights("key", lambda: 2) == 2


def test_calls_of_different_keys_run_at_the_same_time(pool: ThreadPoolExecutor) -> None:
    flights: KeyedSingleFlight[str, bool] = KeyedSingleFlight()
    one, other = Event(), Event()

    def meet(own: Event, theirs: Event) -> bool:
        own.set()
        return theirs.wait(20)

    outcomes = [
        pool.submit(flights, "one", lambda: meet(one, other)),
        pool.submit(flights, "other", lambda: meet(other, one)),
    ]
    assert [outcome.result(20) for outcome in outcomes] == [True, True]


def test_call_that_hangs_holds_others_for_a_while_only(pool: ThreadPoolExecutor) -> None:
    flights: KeyedSingleFlight[str, int] = KeyedSingleFlight(timeout=0.1)
    entered, ends = Event(), Event()

    def hang() -> int:
        entered.set()
        assert ends.wait(20)
        return 1

    hanging = pool.submit(flights, "key", hang)
    assert entered.wait(20)
    with pytest.raises(StoreTimeout, match=r"another caller's call did not end within 0\.1 s"):
        flights("key", lambda: 2)
    assert flights("key", lambda: 3) == 3
    ends.set()
    assert hanging.result(20) == 1
    assert flights("key", lambda: 4) == 4
