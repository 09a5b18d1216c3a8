"""One call for several callers.

With CallBatcher and SingleFlight, the call that serves a caller never began
before that caller asked.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from queries.errors import StoreTimeout, StoreUnavailable

Item = TypeVar("Item")
Key = TypeVar("Key")
T = TypeVar("T")


class CallBatcher(Generic[Item, T]):
    """Collects items while a call runs, and passes them all to the next call.

    The first caller of a batch makes the call for all of them, so no thread
    has to be kept alive. A batch that has waited longer than ``timeout``
    seconds for its turn raises StoreTimeout to all its callers, and ``call``
    never sees its items.
    """

    def __init__(self, call: Callable[[list[Item]], T], timeout: float) -> None:
        self._call = call
        self._timeout = timeout
        self._lock = Lock()
        self._turn = Lock()
        self._waiting: tuple[list[Item], Future[T]] | None = None

    def __call__(self, item: Item) -> tuple[T, int]:
        """What the call returns, with the item's index in the batch. Raises what the call raises."""
        with self._lock:
            leads = self._waiting is None
            items, outcome = self._waiting = self._waiting or ([], Future())
            index = len(items)
            items.append(item)
        if leads:
            self._lead(items, outcome)
        return outcome.result(), index

    def _lead(self, items: list[Item], outcome: Future[T]) -> None:
        has_turn = False
        try:
            try:
                has_turn = self._turn.acquire(timeout=self._timeout)
            finally:
                # later callers start the next batch
                with self._lock:
                    self._waiting = None
            if has_turn:
                outcome.set_result(self._call(items))
            else:
                outcome.set_exception(StoreTimeout(f"the call before this one did not end within {self._timeout:g} s"))
        except Exception as error:  # noqa: BLE001  all callers of the batch raise it
            outcome.set_exception(error)
        except BaseException:
            outcome.set_exception(StoreUnavailable("the call was interrupted"))
            raise
        finally:
            if has_turn:
                self._turn.release()


class SingleFlight(Generic[T]):
    """Runs ``call`` for its callers, one call at a time.

    Callers that come while a call runs wait for it to end and then share the
    next one. Waiting longer than ``timeout`` seconds for that raises
    StoreTimeout.
    """

    def __init__(self, call: Callable[[], T], timeout: float) -> None:
        self._batcher: CallBatcher[None, T] = CallBatcher(lambda _: call(), timeout)

    def __call__(self) -> T:
        """What a call returns, or raises, that began after this one was asked for."""
        return self._batcher(None)[0]


class KeyedSingleFlight(Generic[Key, T]):
    """Runs one call per key at a time. Callers that come while it runs get its outcome.

    Unlike with SingleFlight, the call may have begun before a caller asked. Use
    it where the key determines the result. A caller that has waited for
    ``timeout`` seconds raises StoreTimeout, and the next one makes a new call.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = timeout
        self._lock = Lock()
        self._running: dict[Key, Future[T]] = {}

    def __call__(self, key: Key, call: Callable[[], T]) -> T:
        """What ``call``, or another caller's call for this key, returns or raises."""
        with self._lock:
            running = self._running.get(key)
            if running is None:
                outcome = self._running[key] = Future[T]()
        if running is not None:
            return self._wait(key, running)
        try:
            result = call()
            outcome.set_result(result)
            return result
        except BaseException as error:
            outcome.set_exception(error)
            raise
        finally:
            self._end(key, outcome)

    def _wait(self, key: Key, running: Future[T]) -> T:
        try:
            return running.result(self._timeout)
        except TimeoutError as error:
            if running.done():
                # the call itself raised TimeoutError, or ended at the last moment
                return running.result()
            self._end(key, running)
            raise StoreTimeout(f"another caller's call did not end within {self._timeout:g} s") from error

    def _end(self, key: Key, outcome: Future[T]) -> None:
        """Lets the next caller make a call, unless one does already."""
        with self._lock:
            if self._running.get(key) is outcome:
                del self._running[key]
