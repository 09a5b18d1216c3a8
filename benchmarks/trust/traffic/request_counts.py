"""Counts and times of requests."""

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from benchmarks.trust.traffic.client import Answer, BrokenConnection


@dataclass
class RequestCounts:
    """How requests of each kind ended, and how long they took. Threads may share it."""

    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def count(self, kind: str, answer: Answer) -> None:
        """Counts an answer, and apart those that are marked as older than now."""
        aged = " with X-Data-As-Of" if "X-Data-As-Of" in answer.headers else ""
        self._add(kind, f"{answer.status}{aged}", answer.seconds)

    def count_broken(self, kind: str, error: BrokenConnection) -> None:
        """Counts a request whose connection broke."""
        self._add(kind, "broken connection" if error.was_sent else "no connection", None)

    def total(self, kind: str, status: str) -> int:
        """How many requests of a kind ended so."""
        with self._lock:
            return self.statuses.get(kind, Counter())[status]

    def as_json(self) -> dict[str, Any]:
        """By kind of request: how many ended how, and the times of the answers in ms."""
        with self._lock:
            return {
                kind: {"ended": dict(sorted(ended.items())), "ms": _percentiles(sorted(self.seconds[kind]))}
                for kind, ended in sorted(self.statuses.items())
            }

    def _add(self, kind: str, status: str, seconds: float | None) -> None:
        with self._lock:
            self.statuses.setdefault(kind, Counter())[status] += 1
            times = self.seconds.setdefault(kind, [])
            if seconds is not None:
                times.append(seconds)


def _percentiles(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(times) - 1
    return {name: round(1000 * times[min(int(share * len(times)), last)], 1) for name, share in shares.items()}
