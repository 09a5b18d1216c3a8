"""A caller waits for a blocking call no longer than its timeout."""

from concurrent.futures import Future
from threading import Event

import pytest

from queries import StoreTimeout
from queries.concurrency.timeouts import call_with_timeout


def test_result_of_the_call_is_returned() -> None:
    assert call_with_timeout(5, max, 1, 2) == 2


def test_error_of_the_call_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(5, lambda: 1 / 0)


def test_timeout_error_of_the_call_itself_is_raised() -> None:
    def call() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        call_with_timeout(5, call)


def test_result_at_the_last_moment_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    class JustInTime(Future):
        def result(self, timeout: float | None = None) -> object:
            if timeout is not None:
                super().result()
                raise TimeoutError
            return super().result()

    monkeypatch.setattr("queries.concurrency.timeouts.Future", JustInTime)
    assert call_with_timeout(5, max, 1, 2) == 2


def test_call_that_takes_longer_goes_on_in_its_thread() -> None:
    end, ended = Event(), Event()

    def call() -> None:
        end.wait(30)
        ended.set()

    with pytest.raises(StoreTimeout, match=r"0\.05 s"):
        call_with_timeout(0.05, call)
    end.set()
    assert ended.wait(30)
