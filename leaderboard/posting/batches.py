"""Posts results in batches, without those that the service refuses, and retries while it is unavailable."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from leaderboard.posting.client import (
    BatchRefused,
    Client,
    OutcomeUnknown,
    PostError,
    ResultRefused,
    ServiceUnavailable,
)
from leaderboard.posting.reader import NumberedResult
from leaderboard.results.batches import MAX_BATCH_BYTES
from leaderboard.results.validation import MAX_RESULT_BYTES

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 10.0


@dataclass
class PostReport:
    """What became of the results so far. It is true at every moment, also when the run is interrupted.

    ``in_flight`` are the results that were sent and not confirmed: they may
    have been stored or not. ``waiting`` were read and not sent. The results
    from ``next_number`` on were not read, unless ``at_end``.
    """

    posted: int = 0
    refused: int = 0
    in_flight: list[NumberedResult] = field(default_factory=list)
    waiting: deque[NumberedResult] = field(default_factory=deque)
    next_number: int = 1
    at_end: bool = False

    @property
    def first_unsent(self) -> int | None:
        """The number of the first result that was not sent, or None where all were."""
        if self.waiting:
            return self.waiting[0].number
        return None if self.at_end else self.next_number


@dataclass(frozen=True)
class PostOptions:
    """How results are posted.

    ``batch_size``: how many results a batch has at most. ``retry_seconds``:
    for how long to try again while the service is unavailable. ``resend``:
    whether to send a batch again that may have been stored.
    """

    batch_size: int
    retry_seconds: float
    resend: bool


@dataclass(frozen=True)
class PostEvents:
    """Functions that are called while results are posted.

    ``on_progress`` takes the report after each batch. ``on_refusal`` takes a
    refused result and the service's sentence. ``on_pause`` takes the reason of
    a pause and its length in seconds.
    """

    on_progress: Callable[[PostReport], None]
    on_refusal: Callable[[NumberedResult, str], None]
    on_pause: Callable[[PostError, float], None]


class BatchPoster:
    """Posts results in batches, in their order.

    The service stores a batch whole or not at all. Where it refuses one
    result, the others are sent again without it.
    """

    def __init__(self, client: Client, options: PostOptions, events: PostEvents) -> None:
        self.report = PostReport()
        self._client = client
        self._options = options
        self._events = events
        self._pauses = _Pauses(options.retry_seconds)

    def post(self, results: Iterator[NumberedResult]) -> None:
        """Posts all results. Raises ServiceRefused, ServiceUnavailable and OutcomeUnknown; ``report`` holds then too.

        Raises what reading the results raises.
        """
        size = self._options.batch_size
        while self._read(results):
            batch = self._take(size)
            try:
                self._send(batch)
            except ResultRefused as refusal:
                self._refuse(self.report.waiting[refusal.index], str(refusal))
                del self.report.waiting[refusal.index]
                # the results before the refused one are good, and go next
                size = refusal.index or max(1, size // 2)
            except BatchRefused:
                # halves find the result that is at fault
                size = max(1, len(batch) // 2)
            except (ServiceUnavailable, OutcomeUnknown) as failure:
                if self.report.in_flight:
                    raise
                self._pause(failure)
            else:
                size = min(self._options.batch_size, size * 2)
                self._pauses.reset()
            self._events.on_progress(self.report)

    def _read(self, results: Iterator[NumberedResult]) -> bool:
        """Reads results until a batch is full. Returns whether there is anything to send."""
        waiting = self.report.waiting
        waiting_bytes = sum(_batch_bytes(result) for result in waiting)
        while len(waiting) < self._options.batch_size and waiting_bytes < MAX_BATCH_BYTES:
            result = next(results, None)
            if result is None:
                self.report.at_end = True
                break
            self.report.next_number = result.number + 1
            if len(result.body) > MAX_RESULT_BYTES:
                self._refuse(result, f"is larger than {MAX_RESULT_BYTES} bytes")
                continue
            waiting.append(result)
            waiting_bytes += _batch_bytes(result)
        return bool(waiting)

    def _take(self, size: int) -> list[NumberedResult]:
        batch: list[NumberedResult] = []
        batch_bytes = 0
        for result in self.report.waiting:
            batch_bytes += _batch_bytes(result)
            if len(batch) == size or batch_bytes > MAX_BATCH_BYTES:
                break
            batch.append(result)
        return batch

    def _send(self, batch: list[NumberedResult]) -> None:
        """Posts the first results that wait. They wait again unless they are, or may be, stored."""
        report = self.report
        report.in_flight = batch
        for _ in batch:
            report.waiting.popleft()
        try:
            self._client.post([result.body for result in batch])
        except PostError as error:
            if self._options.resend or not isinstance(error, OutcomeUnknown):
                report.waiting.extendleft(reversed(batch))
                report.in_flight = []
            raise
        report.posted += len(batch)
        report.in_flight = []

    def _refuse(self, result: NumberedResult, sentence: str) -> None:
        self.report.refused += 1
        self._events.on_refusal(result, sentence)

    def _pause(self, failure: ServiceUnavailable | OutcomeUnknown) -> None:
        seconds = self._pauses.next_pause(failure.retry_after)
        if seconds is None:
            raise failure
        self._events.on_pause(failure, seconds)
        time.sleep(seconds)


class _Pauses:
    """Pauses that double, from the first failure until ``retry_seconds`` have passed."""

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self.reset()

    def reset(self) -> None:
        """Forgets the failures so far."""
        self._deadline: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    def next_pause(self, at_least: float) -> float | None:
        """The next pause in seconds, or None where it would end too late."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._retry_seconds
        seconds = max(self._pause, at_least)
        self._pause = min(self._pause * 2, MAX_PAUSE_SECONDS)
        return seconds if now + seconds <= self._deadline else None


def _batch_bytes(result: NumberedResult) -> int:
    """The bytes of a result in a batch, with the line break."""
    return len(result.body) + 1
