"""The ledger: what was sent, what was acknowledged, and whether an answer or the database agrees with it."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from threading import Lock

from benchmarks.trust.traffic.subjects import Subject

MAX_VIOLATIONS = 100
"""Further ones are only counted."""


class Outcome(StrEnum):
    """What the client knows about a post."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    """For certain: it must never be stored."""
    UNKNOWN = "unknown"
    """The service, or a connection, failed meanwhile. It may be stored, but only once and whole."""


@dataclass
class Post:
    """The results of one request, by their numbers."""

    subject: Subject
    numbers: range
    outcome: Outcome = Outcome.PENDING
    known_at: float = float("inf")
    """Unix seconds at which a client knew that the results are stored: a 2xx, or an answer that had them."""


@dataclass
class Ledger:
    """Records posts, and checks answers against them. Threads may share it."""

    violations: list[str] = field(default_factory=list)
    violation_count: int = 0
    _posts: dict[Subject, list[Post]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)
    _lock: Lock = field(default_factory=Lock)

    def begin(self, subject: Subject, results: int = 1) -> Post:
        """A post that is about to be sent."""
        with self._lock:
            first = next(self._numbers)
            for _ in range(results - 1):
                next(self._numbers)
            post = Post(subject, range(first, first + results))
            self._posts.setdefault(subject, []).append(post)
        return post

    def end(self, post: Post, outcome: Outcome) -> None:
        """Records what the client was told."""
        with self._lock:
            post.outcome = outcome
            if outcome is Outcome.ACKNOWLEDGED:
                post.known_at = min(post.known_at, time.time())

    def known_numbers(self, subject: Subject, moment: float) -> set[int]:
        """The results of a subject that an answer must have which knows all that was stored at that moment."""
        return _numbers(post for post in self.posts(subject) if post.known_at < moment)

    def known_subjects(self, moment: float) -> set[Subject]:
        """The subjects that had results at that moment."""
        return {subject for subject in self.subjects() if any(post.known_at < moment for post in self.posts(subject))}

    def possible_numbers(self, subject: Subject) -> set[int]:
        """The results of a subject that an answer may have."""
        return _numbers(post for post in self.posts(subject) if post.outcome is not Outcome.REFUSED)

    def posts(self, subject: Subject) -> list[Post]:
        """The posts of a subject by now."""
        with self._lock:
            return list(self._posts.get(subject, ()))

    def subjects(self) -> list[Subject]:
        """All subjects, oldest first."""
        with self._lock:
            return list(self._posts)

    def outcomes(self) -> Counter[str]:
        """How many results had which outcome."""
        with self._lock:
            posts = [post for posts in self._posts.values() for post in posts]
        counted: Counter[str] = Counter()
        for post in posts:
            counted[post.outcome] += len(post.numbers)
        return counted

    def violate(self, sentence: str) -> None:
        """Records that the service did what it must not."""
        with self._lock:
            self.violation_count += 1
            if len(self.violations) < MAX_VIOLATIONS:
                self.violations.append(f"{time.strftime('%H:%M:%S')} {sentence}")

    def check_numbers(self, what: str, subject: Subject, numbers: list[int], known: set[int]) -> None:
        """Checks an answer that lists results. ``known`` are those that it must have."""
        answered, possible = set(numbers), self.possible_numbers(subject)
        self._check(what, subject, {
            "has twice": [number for number, times in Counter(numbers).items() if times > 1],
            "lacks": known - answered,
            "has what was never sent or was refused": answered - possible,
            "has a part of a batch": _parts(self.posts(subject), answered),
        })  # fmt: skip
        # what was read once is committed, so later answers must have it, too
        now = time.time()
        with self._lock:
            for post in self._posts.get(subject, ()):
                if post.numbers[0] in answered:
                    post.known_at = min(post.known_at, now)

    def check_count(self, what: str, subject: Subject, number: int, known: set[int]) -> None:
        """Checks an answer that says how many results a subject has."""
        possible = len(self.possible_numbers(subject))
        if not len(known) <= number <= possible:
            self.violate(f"{what}: {subject} has {number} results, and there are {len(known)} to {possible}")
        elif number and (number - 1) % subject.batch_results:
            self.violate(f"{what}: {subject} has {number} results, which are not whole batches")

    def check_stored(self, stored: Iterable[tuple[str, int]]) -> None:
        """Checks all rows of the table: pairs of the orchestrator and the number of the result."""
        by_address: dict[str, list[int]] = {}
        for address, number in stored:
            by_address.setdefault(address, []).append(number)
        now = time.time()
        for subject in self.subjects():
            numbers = by_address.pop(subject.address, [])
            self.check_numbers("the database", subject, numbers, self.known_numbers(subject, now))
        if by_address:
            self.violate(f"the database has results of orchestrators that were never tested: {sorted(by_address)[:3]}")

    def _check(self, what: str, subject: Subject, findings: dict[str, Collection[int]]) -> None:
        for finding, numbers in findings.items():
            if numbers:
                self.violate(f"{what}: {subject} {finding}: {len(numbers)} results, such as {sorted(numbers)[:5]}")


def _numbers(posts: Iterable[Post]) -> set[int]:
    return {number for post in posts for number in post.numbers}


def _parts(posts: list[Post], answered: set[int]) -> list[int]:
    """The first numbers of the posts of which an answer has some results, but not all."""
    count_of: Callable[[Post], int] = lambda post: sum(number in answered for number in post.numbers)  # noqa: E731
    return [post.numbers[0] for post in posts if 0 < count_of(post) < len(post.numbers)]
