"""A log of what may happen a thousand times a minute: the first time at once, then a count each minute."""

import logging
from collections.abc import Callable
from threading import Lock, Timer

COUNT_SECONDS = 60.0

CountMessage = Callable[[int, float], str]
"""Makes the line for a number of times within some seconds."""


class CountedLog:
    """Logs the first message of a kind at once, and later only how many there were.

    The count comes ``count_seconds`` later, and then again after each such
    time in which there was one. Threads may share a CountedLog.
    """

    def __init__(self, log: logging.Logger, count_seconds: float = COUNT_SECONDS) -> None:
        self._log = log
        self._count_seconds = count_seconds
        self._lock = Lock()
        self._counts: dict[str, tuple[int, CountMessage | None]] = {}
        self._timers: dict[str, Timer] = {}

    def add(self, kind: str, message: str, count_message: CountMessage, error: BaseException | None = None) -> None:
        """Notes something of a kind, of which there must be few. The traceback of the error is logged with the first.

        ``count_message`` of the last one makes the line with the count.
        """
        with self._lock:
            if kind in self._counts:
                number, _ = self._counts[kind]
                self._counts[kind] = number + 1, count_message
                return
            self._start_period(kind)
        if error is None:
            self._log.warning("%s", message)
        else:
            self._log.error("%s", message, exc_info=error)

    def close(self) -> None:
        """Logs the counts so far."""
        with self._lock:
            timers, self._timers = self._timers, {}
        for kind, timer in timers.items():
            timer.cancel()
            self._log_count(kind)

    def _start_period(self, kind: str) -> None:
        self._counts[kind] = 0, None
        self._timers[kind] = timer = Timer(self._count_seconds, self._end_period, (kind,))
        timer.daemon = True
        timer.start()

    def _end_period(self, kind: str) -> None:
        with self._lock:
            if kind not in self._timers:
                return
        if self._log_count(kind):
            with self._lock:
                self._start_period(kind)

    def _log_count(self, kind: str) -> int:
        """Logs and returns how many there were. The next one counts as the first."""
        with self._lock:
            number, count_message = self._counts.pop(kind, (0, None))
        if count_message is not None:
            self._log.warning("%s", count_message(number, self._count_seconds))
        return number
