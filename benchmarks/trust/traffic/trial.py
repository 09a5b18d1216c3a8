"""A trial: posters and readers at work, faults meanwhile, and what is checked at the end."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Any

from benchmarks.trust.processes.service import wait_for
from benchmarks.trust.traffic.ledger import Ledger
from benchmarks.trust.traffic.posters import KINDS, CurrentSubjects, Poster
from benchmarks.trust.traffic.readers import Reader
from benchmarks.trust.traffic.request_counts import RequestCounts
from benchmarks.trust.traffic.threads import running


@dataclass
class Trial:
    """Traffic to a service at ``port``, and the ledger of it."""

    port: int
    ledger: Ledger = field(default_factory=Ledger)
    counts: RequestCounts = field(default_factory=RequestCounts)
    recovery_seconds: dict[str, list[float]] = field(default_factory=dict)
    """By fault, the seconds from its begin until a post is acknowledged after its end."""

    @contextmanager
    def traffic(self, posters: int, readers: int, pause_seconds: float) -> Iterator[None]:
        """Posters and readers, who work until the end of the ``with`` statement."""
        subjects = CurrentSubjects()
        workers: list[Poster | Reader] = [
            *(Poster(self.port, self.ledger, subjects, self.counts, number % len(KINDS)) for number in range(posters)),
            *(Reader(self.port, self.ledger, self.counts, seed) for seed in range(readers)),
        ]
        with running([partial(self._guard, partial(worker.run, pause_seconds=pause_seconds)) for worker in workers]):
            yield

    def run(self, faults: Iterable[tuple[str, Callable[[], None]]], posts_between: int) -> Iterator[str]:
        """Makes one fault after another, each after ``posts_between`` posts more were acknowledged.

        Yields the name of each when the service has recovered.
        """
        self._wait_for_posts(posts_between)
        for name, make_fault in faults:
            began = time.monotonic()
            make_fault()
            self._wait_for_posts(1)
            self.recovery_seconds.setdefault(name, []).append(time.monotonic() - began)
            self._wait_for_posts(posts_between)
            yield name

    def check(self, stored: list[tuple[str, int]]) -> None:
        """Compares the rows of the database, and every answer about every subject, with the ledger."""
        self.ledger.check_stored(stored)
        Reader(self.port, self.ledger, self.counts, 0).check_all()

    def as_json(self) -> dict[str, Any]:
        """What happened."""
        return {
            "results": dict(self.ledger.outcomes()),
            "violations": self.ledger.violation_count,
            "sentences": self.ledger.violations,
            "requests": self.counts.as_json(),
            "recovery_seconds": {
                name: {"times": len(seconds), "median": sorted(seconds)[len(seconds) // 2], "max": max(seconds)}
                for name, seconds in sorted(self.recovery_seconds.items())
            },
        }

    def _wait_for_posts(self, posts: int) -> None:
        """Returns when so many posts more were acknowledged."""
        goal_count = self.counts.total("post", "200") + posts
        wait_for(lambda: self.counts.total("post", "200") >= goal_count, "no posts are acknowledged")

    def _guard(self, work: Callable[[Event], None], stopped: Event) -> None:
        """Runs a poster or reader. One that fails is a violation: an answer has a shape that none may have."""
        try:
            work(stopped)
        except Exception as error:  # noqa: BLE001  whatever an answer made it raise
            self.ledger.violate(f"an answer that cannot be read: {error!r}")
