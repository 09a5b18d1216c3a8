"""The current LiveState of a process. Several threads read it, and replace it under a lock."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock

import polars as pl

from queries.sources.live.days import Span
from queries.sources.live.state import LiveState
from queries.times import MIN_TIME, to_micros


class SharedState:
    """Holds the current state.

    ``warm_window`` is the recent time that is never evicted. What is older is
    evicted above ``max_bytes``.
    """

    def __init__(self, warm_window: timedelta, max_bytes: int) -> None:
        self._warm_window = warm_window
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._state: LiveState | None = None
        # a new state counts on from the one before, as equal versions must mean equal events
        self._edit_count = 0

    @property
    def current(self) -> LiveState | None:
        """The current state, or None before the first refresh and after a reset."""
        return self._state

    @property
    def edit_count(self) -> int:
        """The edit count with which a new state begins."""
        return self._edit_count

    def warm_start(self) -> int:
        """Where the warm window starts, in microseconds since 1970."""
        try:
            return to_micros(datetime.now(UTC) - self._warm_window)
        except OverflowError:
            return to_micros(MIN_TIME)

    def start(self, state: LiveState) -> None:
        """Sets the first state, if there is none."""
        with self._lock:
            self._state = self._state or state

    def update(self, change: Callable[[LiveState], LiveState]) -> None:
        """Replaces the current state, if there is one, by what ``change`` makes of it."""
        with self._lock:
            if self._state is not None:
                self._state = change(self._state).evict(self.max_bytes, self.warm_start())

    def add_days(self, days: Mapping[int, pl.DataFrame], span: Span, epoch: int) -> None:
        """Adds the days of a span that was read in an epoch, unless that has ended."""
        self.update(lambda state: state.with_days(days, span) if state.epoch == epoch else state)

    def reset(self) -> None:
        """Drops all events: the table was emptied or rewritten."""
        with self._lock:
            # one more, so that the version differs from every version of the dropped state
            self._edit_count = 1 + (self._state.edit_count if self._state else self._edit_count)
            self._state = None
