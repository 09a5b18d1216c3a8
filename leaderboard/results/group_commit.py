"""Group commit: the rows of many requests are written in few transactions."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from queries.concurrency import CLIENT_MARGIN_SECONDS, run_in_thread
from queries.errors import OutcomeUnknown, StoreError, StoreTimeout, StoreUnavailable

Row = TypeVar("Row")

MIN_WRITE_SECONDS = 0.25
"""A row with less time than this until its deadline is not written any more."""


@dataclass
class _Entry(Generic[Row]):
    """A row that waits. Its outcome is None where it was committed, else an error."""

    row: Row
    deadline: float
    outcome: Future[None] = field(default_factory=Future)

    def refuse(self, error: Exception) -> None:
        """Gives its caller the error of a write that stored nothing."""
        if isinstance(error, StoreTimeout) and not isinstance(error, OutcomeUnknown):
            # the caller may send it again at once, unlike one whose outcome is unknown
            error = StoreUnavailable(str(error))
        self.outcome.set_exception(error)


class GroupCommit(Generic[Row]):
    """Passes rows to ``write``, which commits them in one transaction, one transaction at a time.

    Rows that arrive during a transaction are written together in the next.
    ``write`` takes the rows and its time limit in seconds, and returns an
    error, or None, for each row. Each row is decided by its own deadline, a
    moment of time.monotonic(): the rows of a transaction that took too long
    go into the next one as long as they have time.

    While there are rows, one thread writes; at other times there is none.
    """

    def __init__(self, write: Callable[[list[Row], float], Sequence[Exception | None]]) -> None:
        self._write = write
        self._lock = Lock()
        self._pending: deque[_Entry[Row]] = deque()
        self._is_writing = False

    def add(self, row: Row, deadline: float) -> None:
        """Returns when the row is committed.

        Raises the error of this row: where ``write`` raises, each row is
        written by itself. Raises StoreUnavailable where the row is certainly
        not stored, and OutcomeUnknown where nobody knows.
        """
        entry = _Entry(row, deadline)
        with self._lock:
            self._pending.append(entry)
            starts, self._is_writing = not self._is_writing, True
        if starts:
            run_in_thread(self._write_pending)
        try:
            entry.outcome.result(max(0, deadline - time.monotonic()))
        except TimeoutError:
            if entry.outcome.cancel():
                raise StoreUnavailable("the transactions before this result took too long") from None
            self._wait_for_end(entry)

    def _wait_for_end(self, entry: _Entry[Row]) -> None:
        """Waits for a write that is about to reach its own limit."""
        try:
            entry.outcome.result(CLIENT_MARGIN_SECONDS)
        except TimeoutError:
            raise OutcomeUnknown("the transaction of this result does not end") from None

    def _write_pending(self) -> None:
        """Writes until no row waits."""
        entries: list[_Entry[Row]] = []
        while entries := entries + self._take(is_last=not entries):
            try:
                entries = self._write_once(entries)
            except BaseException as error:  # noqa: BLE001  a caller must not wait for ever
                for entry in entries:
                    if not entry.outcome.done():
                        entry.outcome.set_exception(OutcomeUnknown(f"the transaction was interrupted: {error!r}"))
                entries = []

    def _take(self, *, is_last: bool) -> list[_Entry[Row]]:
        """The rows that wait and whose callers do too. Where there are none, the next row starts a thread."""
        with self._lock:
            taken = [entry for entry in self._pending if entry.outcome.set_running_or_notify_cancel()]
            self._pending.clear()
            self._is_writing = bool(taken) or not is_last
        return taken

    def _write_once(self, entries: list[_Entry[Row]]) -> list[_Entry[Row]]:
        """Writes rows in one transaction. Returns those that it did not store and that have time for another one."""
        entries = _refuse_late(entries, StoreUnavailable("the transactions before this result took too long"))
        if not entries:
            return []
        began = time.monotonic()
        timeout = min(entry.deadline for entry in entries) - began
        try:
            errors = self._write([entry.row for entry in entries], timeout)
        except OutcomeUnknown as error:
            errors = [error] * len(entries)
        except StoreError as error:
            if isinstance(error, StoreTimeout) and time.monotonic() - began >= timeout / 2:
                return _refuse_late(entries, error)
            # no row is at fault, so writing each by itself would only take longer
            errors = [error] * len(entries)
        except Exception as error:  # noqa: BLE001  add raises it
            if len(entries) > 1:
                return [late for entry in entries for late in self._write_once([entry])]
            errors = [error]
        for entry, outcome in zip(entries, errors, strict=True):
            if outcome is None:
                entry.outcome.set_result(None)
            else:
                entry.refuse(outcome)
        return []


def _refuse_late(entries: list[_Entry[Row]], error: StoreError) -> list[_Entry[Row]]:
    """The rows that have time left. The others get the error."""
    in_time = []
    for entry in entries:
        if entry.deadline - time.monotonic() >= MIN_WRITE_SECONDS:
            in_time.append(entry)
        else:
            entry.refuse(error)
    return in_time
