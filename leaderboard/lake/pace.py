"""How fast many events are read: at full speed, or so that the database has time for others."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from queries.concurrency import run_in_thread

T = TypeVar("T")


@dataclass(frozen=True)
class Pace:
    """``readers`` at the same time, each of which keeps one core of the database busy.

    With ``rest``, which sleeps for so many seconds, there is one reader, and
    after each read the database rests for as long as that took.
    """

    readers: int = 1
    rest: Callable[[float], object] | None = None


FULL_SPEED = Pace(readers=2)


def paced(reads: Iterator[Callable[[], T]], pace: Pace) -> Iterator[T]:
    """The results of the reads, in their order. Whatever ``reads`` itself does counts as reading."""
    if pace.rest is not None:
        yield from _rested(reads, pace.rest)
        return
    pending = deque(run_in_thread(read) for read in islice(reads, pace.readers))
    while pending:
        result = pending.popleft().result()
        pending.extend(run_in_thread(read) for read in islice(reads, 1))
        yield result


def _rested(reads: Iterator[Callable[[], T]], rest: Callable[[float], object]) -> Iterator[T]:
    began = time.monotonic()
    for read in reads:
        result = read()
        done = time.monotonic()
        yield result
        # the database rests while the caller is at work as well
        rest(max(0.0, (done - began) - (time.monotonic() - done)))
        began = time.monotonic()
