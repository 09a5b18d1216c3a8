"""Who asks at the same time shares one call, and nobody is given what was known before it asked."""

import itertools
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from queries import StoreTimeout
from queries.concurrency.coalescing import CallBatcher, SingleFlight
from queries.concurrency.timeouts import call_with_timeout

SHARING = 6


class Gate:
    """A call that tells how many there have been, and waits in each until it is let through."""

    def __init__(self) -> None:
        self.calls = 0
        self.entered = threading.Semaphore(0)
        self.opened = threading.Semaphore(0)

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.entered.release()
        assert self.opened.acquire(timeout=20)
        return number


def asked_while_one_is_under_way(shared: SingleFlight[int], gate: Gate, pool: ThreadPoolExecutor) -> list[Future[int]]:
    """The first who asks, and others who have asked before it got its answer."""
    first = pool.submit(shared)
    assert gate.entered.acquire(timeout=20)
    asking = threading.Barrier(SHARING + 1)

    def ask() -> int:
        asking.wait(20)
        return shared()

    others = [pool.submit(ask) for _ in range(SHARING)]
    asking.wait(20)
    time.sleep(0.1)
    return [first, *others]


def test_one_after_the_other_each_makes_a_call() -> None:
    shared = SingleFlight(itertools.count(1).__next__, 5)
    assert [shared(), shared(), shared()] == [1, 2, 3]


def test_those_who_wait_share_the_next_call_and_not_the_one_under_way() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        first, *others = asked_while_one_is_under_way(shared, gate, pool)
        gate.opened.release(2)
        assert first.result(20) == 1
        assert [other.result(20) for other in others] == [2] * SHARING
    assert gate.calls == 2


def test_who_asks_during_the_shared_call_waits_for_one_more() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 20)
    with ThreadPoolExecutor(SHARING + 2) as pool:
        asked = asked_while_one_is_under_way(shared, gate, pool)
        gate.opened.release()
        assert gate.entered.acquire(timeout=20)
        late = pool.submit(shared)
        time.sleep(0.1)
        gate.opened.release(2)
        assert [each.result(20) for each in asked] == [1] + [2] * SHARING
        assert late.result(20) == 3


def test_nobody_is_given_what_was_known_before_it_asked() -> None:
    clock = itertools.count()

    def look() -> int:
        began = next(clock)
        time.sleep(0.0005)
        return began

    shared = SingleFlight(look, 20)

    def ask(_: int) -> bool:
        asked = next(clock)
        return shared() > asked

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(1000)))
    # and they did share
    assert next(clock) < 1900


def test_calls_never_overlap() -> None:
    under_way = threading.Lock()

    def call() -> bool:
        alone = under_way.acquire(blocking=False)
        time.sleep(0.001)
        under_way.release()
        return alone

    shared = SingleFlight(call, 20)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: shared(), range(100)))


def test_an_error_is_raised_to_all_who_share_it_and_not_kept() -> None:
    gate, errors = Gate(), iter([False, True, False])

    def call() -> int:
        number = gate()
        if next(errors):
            raise ZeroDivisionError(number)
        return number

    shared = SingleFlight(call, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        first, *others = asked_while_one_is_under_way(shared, gate, pool)
        gate.opened.release(3)
        assert first.result(20) == 1
        assert [str(other.exception(20)) for other in others] == ["2"] * SHARING
    assert shared() == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_call_that_is_broken_off_is_made_anew(stop: type[BaseException]) -> None:
    outcomes: list[Callable[[], int]] = [lambda: 1, lambda: broken_off(stop), lambda: 3]
    shared = SingleFlight(lambda: outcomes.pop(0)(), 5)
    assert shared() == 1
    with pytest.raises(stop):
        shared()
    assert shared() == 3


def broken_off(stop: type[BaseException]) -> int:
    raise stop


def test_who_gets_no_turn_in_time_is_told() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shared)
        assert gate.entered.acquire(timeout=20)
        with pytest.raises(StoreTimeout, match=r"0\.05 s"):
            shared()
        gate.opened.release(2)
        # the limit is on waiting for others, not on the call
        assert first.result(20) == 1
    assert shared() == 2


def test_who_is_broken_off_while_waiting_for_a_turn_keeps_nobody_waiting() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 20)

    def break_off(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, break_off)
    try:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(shared)
            assert gate.entered.acquire(timeout=20)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                shared()
            gate.opened.release(2)
            assert first.result(20) == 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert call_with_timeout(5, shared) == 2


def test_who_shares_a_call_that_is_broken_off_is_told_and_not_broken_off_with_it() -> None:
    gate, stops = Gate(), iter([False, True])

    def call() -> int:
        number = gate()
        if next(stops):
            raise SystemExit
        return number

    shared = SingleFlight(call, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        first, *others = asked_while_one_is_under_way(shared, gate, pool)
        gate.opened.release(2)
        assert first.result(20) == 1
        kinds = [type(other.exception(20)) for other in others]
    assert kinds.count(SystemExit) == 1
    assert all(issubclass(kind, Exception) for kind in kinds if kind is not SystemExit)


def test_items_are_given_to_one_call_in_the_order_of_their_places() -> None:
    given: list[list[int]] = []
    first, opened = threading.Event(), threading.Event()

    def call(items: list[int]) -> list[int]:
        given.append(items)
        first.set()
        assert opened.wait(20)
        return [10 * item for item in items]

    gathered = CallBatcher(call, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        answers = [pool.submit(gathered, 0)]
        assert first.wait(20)
        answers += [pool.submit(gathered, item) for item in range(1, SHARING + 1)]
        time.sleep(0.1)
        opened.set()
        results = [answer.result(20) for answer in answers]
    assert [len(items) for items in given] == [1, SHARING]
    assert [result[place] for result, place in results] == [10 * item for item in range(SHARING + 1)]


def test_items_of_those_who_got_no_turn_are_never_given() -> None:
    given: list[int] = []
    first, opened = threading.Event(), threading.Event()

    def call(items: list[int]) -> None:
        given.extend(items)
        first.set()
        assert opened.wait(20)

    gathered = CallBatcher(call, 0.1)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        slow = pool.submit(gathered, 0)
        assert first.wait(20)
        late = [pool.submit(gathered, item) for item in range(1, SHARING + 1)]
        assert {type(each.exception(20)) for each in late} == {StoreTimeout}
        opened.set()
        slow.result(20)
    gathered(SHARING + 1)
    assert given == [0, SHARING + 1]
