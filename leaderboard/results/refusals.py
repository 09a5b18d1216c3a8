"""Logs refused posts, so that an operator sees them and nobody can flood the log."""

import logging
from dataclasses import dataclass
from threading import Lock, Timer

log = logging.getLogger(__name__)

COUNT_SECONDS = 60.0
MAX_TEXT_LENGTH = 200


@dataclass
class _Count:
    """How many posts were refused since the last line about them, and the last one of these."""

    number: int = 0
    reason: str = ""
    sender: str = ""


class RefusalLog:
    """Logs the first refused post of a kind at once, with its reason and sender, and a count of the others.

    The count comes COUNT_SECONDS later, and then again after each
    COUNT_SECONDS in which there was one. Threads may share a RefusalLog.
    """

    def __init__(self, count_seconds: float = COUNT_SECONDS) -> None:
        self._count_seconds = count_seconds
        self._lock = Lock()
        self._counts: dict[str, _Count] = {}
        self._timers: dict[str, Timer] = {}

    def add(self, kind: str, reason: str, sender: str) -> None:
        """Notes a refused post. ``kind`` is one of few, such as "a wrong signature"."""
        reason, sender = to_plain_text(reason), to_plain_text(sender)
        with self._lock:
            count = self._counts.get(kind)
            if count is not None:
                count.number, count.reason, count.sender = count.number + 1, reason, sender
                return
            self._start_period(kind)
        log.warning("refused a post from %s for %s: %s", sender, kind, reason)

    def close(self) -> None:
        """Logs the counts so far."""
        with self._lock:
            timers, self._timers = self._timers, {}
        for kind, timer in timers.items():
            timer.cancel()
            self._log_count(kind)

    def _start_period(self, kind: str) -> None:
        self._counts[kind] = _Count()
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
        """Logs and returns how many posts were refused. The next one counts as the first."""
        with self._lock:
            count = self._counts.pop(kind, _Count())
        if count.number:
            log.warning(
                "refused %s more posts for %s within %.0f s, the last one from %s: %s",
                count.number,
                kind,
                self._count_seconds,
                count.sender,
                count.reason,
            )
        return count.number


def to_plain_text(text: str) -> str:
    """The beginning of a text from outside, without characters that control a terminal."""
    plain = "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
    return plain if len(plain) <= MAX_TEXT_LENGTH else f"{plain[:MAX_TEXT_LENGTH]}…"
