"""Threads that work until they are told to stop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def running(targets: Sequence[Callable[[Event], None]]) -> Iterator[None]:
    """Runs each target on a thread until the end of the ``with`` statement, which sets the event that it gets."""
    stopped = Event()
    threads = [Thread(target=target, args=(stopped,)) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
