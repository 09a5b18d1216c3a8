"""Testers that post results, one after another, and record in the ledger what they were told."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Lock

from benchmarks.trust.traffic.client import Answer, BrokenConnection, Client, Hang
from benchmarks.trust.traffic.ledger import Ledger, Outcome
from benchmarks.trust.traffic.request_counts import RequestCounts
from benchmarks.trust.traffic.subjects import Subject
from leaderboard.results.auth import sign

SECRET = "trust"
POST_PATH = "/api/post_stats"
BATCH_RESULTS = 20
MAX_SUBJECT_RESULTS = 1000
"""A subject with more is replaced, so that answers about one stay small."""
WRONG_POST_INTERVAL = 20
"""One post of so many is wrong on purpose, and must be refused."""
PAUSE_AFTER_FAILURE_SECONDS = 0.1

KINDS = (*((is_ai, 1) for is_ai in (False, True) for _ in range(3)), (False, BATCH_RESULTS), (True, BATCH_RESULTS))
"""The subjects that are posted about at the same time: whether their jobs are AI jobs, and the results per post."""


@dataclass
class CurrentSubjects:
    """The subjects that are posted about now, one of each of KINDS. Threads may share them."""

    _indexes: Iterator[int] = field(default_factory=lambda: count(1))
    _current: dict[int, tuple[Subject, int]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _anchor_locks: list[Lock] = field(default_factory=lambda: [Lock() for _ in KINDS])

    def take(self, kind: int) -> Subject | None:
        """The subject to post about, or None if somebody has to post the anchor of a new one."""
        with self._lock:
            subject, results = self._current.get(kind, (None, 0))
            if subject is None or results > MAX_SUBJECT_RESULTS:
                return None
            self._current[kind] = subject, results + subject.batch_results
            return subject

    def replace(self, kind: int, post_anchor: Callable[[Subject], Outcome]) -> Outcome:
        """Posts the anchor of a new subject, and replaces the current one if it is stored. One thread at a time."""
        with self._anchor_locks[kind]:
            if self.take(kind) is not None:
                return Outcome.ACKNOWLEDGED
            with self._lock:
                subject = Subject(next(self._indexes), *KINDS[kind])
            outcome = post_anchor(subject)
            if outcome is Outcome.ACKNOWLEDGED:
                with self._lock:
                    self._current[kind] = subject, 1
            else:
                # within the lock, so that an outage does not leave thousands of subjects without results
                time.sleep(PAUSE_AFTER_FAILURE_SECONDS)
            return outcome


class Poster:
    """Posts results of one kind until ``stopped`` is set."""

    def __init__(self, port: int, ledger: Ledger, subjects: CurrentSubjects, counts: RequestCounts, kind: int) -> None:
        self._client = Client(port)
        self._ledger = ledger
        self._subjects = subjects
        self._counts = counts
        self._kind = kind

    def run(self, stopped: Event, pause_seconds: float) -> None:
        """Posts, and pauses after each post."""
        for number in count(1):
            if stopped.is_set():
                break
            subject, outcome = self._subjects.take(self._kind), Outcome.ACKNOWLEDGED
            if subject is None:
                outcome = self._subjects.replace(self._kind, self._post_anchor)
            elif number % WRONG_POST_INTERVAL == 0:
                self._post_wrong(subject, number // WRONG_POST_INTERVAL)
            else:
                outcome = self._post_results(subject)
            stopped.wait(pause_seconds if outcome is Outcome.ACKNOWLEDGED else PAUSE_AFTER_FAILURE_SECONDS)
        self._client.close()

    def _post_anchor(self, subject: Subject) -> Outcome:
        """Posts the first result of a new subject. Without it, nothing else is posted about that subject."""
        post = self._ledger.begin(subject)
        outcome = self._send(json.dumps(subject.result(post.numbers[0], is_anchor=True)).encode())
        self._ledger.end(post, outcome)
        return outcome

    def _post_results(self, subject: Subject) -> Outcome:
        post = self._ledger.begin(subject, subject.batch_results)
        results = [subject.result(number) for number in post.numbers]
        outcome = self._send(json.dumps(results if len(results) > 1 else results[0]).encode())
        self._ledger.end(post, outcome)
        return outcome

    def _post_wrong(self, subject: Subject, variant: int) -> None:
        """Posts what must be refused. The ledger has it as refused, so that it must never be stored."""
        post = self._ledger.begin(subject, subject.batch_results)
        self._ledger.end(post, Outcome.REFUSED)
        results = [subject.result(number) for number in post.numbers]
        # the last one of a batch, after all others were found well
        results[-1] |= ({}, {"region": "NOWHERE"}, {"success_rate": -1}, {"orchestrator": "0xabc"})[variant % 4]
        body = json.dumps(results if len(results) > 1 else results[0]).encode()
        self._send(body, expected=403 if variant % 4 == 0 else 400, secret="wrong" if variant % 4 == 0 else SECRET)

    def _send(self, body: bytes, expected: int = 200, secret: str = SECRET) -> Outcome:
        try:
            answer = self._client.request("POST", POST_PATH, body, Authorization=sign(secret, body))
        except BrokenConnection as error:
            self._counts.count_broken("post", error)
            if isinstance(error, Hang):
                self._ledger.violate(str(error))
            return Outcome.UNKNOWN if error.was_sent else Outcome.REFUSED
        self._counts.count("post", answer)
        return self._judge(answer, expected)

    def _judge(self, answer: Answer, expected: int) -> Outcome:
        if fault := answer.fault():
            self._ledger.violate(f"post: {fault}")
        if answer.status == expected:
            return Outcome.ACKNOWLEDGED if expected == 200 else Outcome.REFUSED
        if answer.status not in (503, 504):
            self._ledger.violate(f"a post answered {answer.status} instead of {expected}: {answer.body[:200]!r}")
        # with 503 nothing is stored, now or later; with 504 nobody knows
        return Outcome.UNKNOWN if answer.status == 504 else Outcome.REFUSED
