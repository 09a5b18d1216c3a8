"""Callers at the same time share one call, which never began before they asked."""

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
from tests.support.waiting_callers import WaitingCallers

SHARING = 6


class Gate:
    """A call that returns its number, and blocks each time until it is opened."""

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


def call_while_one_runs(shared: SingleFlight[int], gate: Gate, pool: ThreadPoolExecutor) -> list[Future[int]]:
    """The first caller, and others that wait while its call runs."""
    first = pool.submit(shared)
    assert gate.entered.acquire(timeout=20)
    waiting = WaitingCallers()
    others = [pool.submit(waiting.run, shared) for _ in range(SHARING)]
    waiting.wait_for(SHARING)
    return [first, *others]


def test_callers_one_after_the_other_make_a_call_each() -> None:
    shared = SingleFlight(itertools.count(1).__next__, 5)
    assert [shared(), shared(), shared()] == [1, 2, 3]


def test_waiting_callers_share_the_next_call() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        first, *others = call_while_one_runs(shared, gate, pool)
        gate.opened.release(2)
        assert first.result(20) == 1
        assert [other.result(20) for other in others] == [2] * SHARING
    assert gate.calls == 2


def test_caller_during_the_shared_call_waits_for_one_more() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 20)
    with ThreadPoolExecutor(SHARING + 2) as pool:
        asked = call_while_one_runs(shared, gate, pool)
        gate.opened.release()
        assert gate.entered.acquire(timeout=20)
        waiting = WaitingCallers()
        late = pool.submit(waiting.run, shared)
        waiting.wait_for(1)
        gate.opened.release(2)
        assert [each.result(20) for each in asked] == [1] + [2] * SHARING
        assert late.result(20) == 3


def test_call_never_began_before_its_caller() -> None:
    clock = itertools.count()

    def read_clock() -> int:
        began = next(clock)
        time.sleep(0.0005)
        return began

    shared = SingleFlight(read_clock, 20)

    def ask(_: int) -> bool:
        asked = next(clock)
        return shared() > asked

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(1000)))
    # fewer calls than callers: they did share
    assert next(clock) < 1900


def test_calls_never_overlap() -> None:
    running = threading.Lock()

    def call() -> bool:
        alone = running.acquire(blocking=False)
        time.sleep(0.001)
        running.release()
        return alone

    shared = SingleFlight(call, 20)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: shared(), range(100)))


def test_error_is_raised_to_all_who_share_the_call_and_not_kept() -> None:
    gate, errors = Gate(), iter([False, True, False])

    def call() -> int:
        number = gate()
        if next(errors):
            raise ZeroDivisionError(number)
        return number

    shared = SingleFlight(call, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        first, *others = call_while_one_runs(shared, gate, pool)
        gate.opened.release(3)
        assert first.result(20) == 1
        assert [str(other.exception(20)) for other in others] == ["2"] * SHARING
    assert shared() == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_call_after_an_interrupted_one_is_made(stop: type[BaseException]) -> None:
    outcomes: list[Callable[[], int]] = [lambda: 1, lambda: interrupt(stop), lambda: 3]
    shared = SingleFlight(lambda: outcomes.pop(0)(), 5)  # noqa: PLW0108  each call takes the next outcome
    assert shared() == 1
    with pytest.raises(stop):
        shared()
    assert shared() == 3


def interrupt(stop: type[BaseException]) -> int:
    raise stop


def test_caller_without_a_turn_in_time_gets_a_timeout() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(shared)
        assert gate.entered.acquire(timeout=20)
        with pytest.raises(StoreTimeout, match=r"0\.05 s"):
            shared()
        gate.opened.release(2)
        # the timeout limits the wait for other calls, not the call itself
        assert first.result(20) == 1
    assert shared() == 2


def test_caller_interrupted_while_it_waits_blocks_no_other() -> None:
    gate = Gate()
    shared = SingleFlight(gate, 20)

    def interrupt_by_signal(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt_by_signal)
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


def test_callers_that_share_an_interrupted_call_get_an_error() -> None:
    gate, stops = Gate(), iter([False, True])

    def call() -> int:
        number = gate()
        if next(stops):
            raise SystemExit
        return number

    shared = SingleFlight(call, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        first, *others = call_while_one_runs(shared, gate, pool)
        gate.opened.release(2)
        assert first.result(20) == 1
        kinds = [type(other.exception(20)) for other in others]
    assert kinds.count(SystemExit) == 1
    assert all(issubclass(kind, Exception) for kind in kinds if kind is not SystemExit)


def test_batch_has_the_items_in_the_order_of_their_indexes() -> None:
    given: list[list[int]] = []
    first, opened = threading.Event(), threading.Event()

    def call(items: list[int]) -> list[int]:
        given.append(items)
        first.set()
        assert opened.wait(20)
        return [10 * item for item in items]

    batcher = CallBatcher(call, 20)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        answers = [pool.submit(batcher, 0)]
        assert first.wait(20)
        waiting = WaitingCallers()
        answers += [pool.submit(waiting.run, batcher, item) for item in range(1, SHARING + 1)]
        waiting.wait_for(SHARING)
        opened.set()
        results = [answer.result(20) for answer in answers]
    assert [len(items) for items in given] == [1, SHARING]
    assert [result[index] for result, index in results] == [10 * item for item in range(SHARING + 1)]


def test_items_of_timed_out_callers_are_never_passed() -> None:
    given: list[int] = []
    first, opened = threading.Event(), threading.Event()

    def call(items: list[int]) -> None:
        given.extend(items)
        first.set()
        assert opened.wait(20)

    batcher = CallBatcher(call, 0.1)
    with ThreadPoolExecutor(SHARING + 1) as pool:
        slow = pool.submit(batcher, 0)
        assert first.wait(20)
        late = [pool.submit(batcher, item) for item in range(1, SHARING + 1)]
        assert {type(each.exception(20)) for each in late} == {StoreTimeout}
        opened.set()
        slow.result(20)
    batcher(SHARING + 1)
    assert given == [0, SHARING + 1]
