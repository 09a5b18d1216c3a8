"""One call at a time for all who ask, where what each gets must not have begun before it asked."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from queries.errors import StoreTimeout, StoreUnavailable

Item = TypeVar("Item")
T = TypeVar("T")


class CallBatcher(Generic[Item, T]):
    """Calls ``call`` with the items of all who came while the call before was under way.

    Whoever comes first of these makes the call for them all, so there is no
    thread to keep alive. After ``seconds`` of waiting for a turn they give up
    together with StoreTimeout, and their items never reach ``call``.
    """

    def __init__(self, call: Callable[[list[Item]], T], seconds: float) -> None:
        self._call = call
        self._seconds = seconds
        self._lock = Lock()
        self._turn = Lock()
        self._next: tuple[list[Item], Future[T]] | None = None

    def __call__(self, item: Item) -> tuple[T, int]:
        """What the call returned, and the item's place among those it was given; or what it raised."""
        with self._lock:
            leads = self._next is None
            items, outcome = self._next = self._next or ([], Future())
            place = len(items)
            items.append(item)
        if leads:
            self._lead(items, outcome)
        return outcome.result(), place

    def _lead(self, items: list[Item], outcome: Future[T]) -> None:
        in_time = False
        try:
            try:
                in_time = self._turn.acquire(timeout=self._seconds)
            finally:
                with self._lock:
                    self._next = None
            if not in_time:
                raise StoreTimeout(f"no answer within {self._seconds:g} s")
            outcome.set_result(self._call(items))
        except Exception as error:  # noqa: BLE001  raised to all who share it
            outcome.set_exception(error)
        except BaseException:
            outcome.set_exception(StoreUnavailable("the call was broken off"))
            raise
        finally:
            if in_time:
                self._turn.release()


class SingleFlight(Generic[T]):
    """Calls ``call`` for whoever asks, one call at a time.

    Who asks while one is under way waits for it, and then shares the next one
    with all others who have waited. Gives up with StoreTimeout after
    ``seconds`` of waiting for a turn.
    """

    def __init__(self, call: Callable[[], T], seconds: float) -> None:
        self._gathered: CallBatcher[None, T] = CallBatcher(lambda _: call(), seconds)

    def __call__(self) -> T:
        """What a call returns, or raises, that began after this was asked."""
        return self._gathered(None)[0]
