"""Group commit: the rows of many requests are written in few transactions."""

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

from queries.concurrency import CLIENT_MARGIN_SECONDS
from queries.errors import OutcomeUnknown, StoreError, StoreTimeout, StoreUnavailable

Row = TypeVar("Row")

MIN_WRITE_SECONDS = 0.25
"""A row with less time than this until its deadline is not written any more."""
TOOK_TOO_LONG = "the transactions before this result took too long"


class _Entry(Generic[Row]):
    """A row and the thread that waits for it. GroupCommit's lock guards all but ``row`` and ``deadline``."""

    def __init__(self, row: Row, deadline: float) -> None:
        self.row, self.deadline = row, deadline
        self.is_written_alone = False
        """Whether it may share no transaction, because one that it shared failed."""
        self.is_taken = False
        """Whether it is in the transaction that runs."""
        self.leads = False
        self.is_decided = False
        self.error: Exception | None = None
        self._asleep = Lock()
        self._asleep.acquire()

    def is_waiting(self) -> bool:
        """Whether its thread has nothing to do yet."""
        return not (self.leads or self.is_decided)

    def sleep(self, seconds: float) -> None:
        """Waits until ``wake``, for so long at most."""
        self._asleep.acquire(timeout=max(0, seconds))

    def wake(self) -> None:
        """Ends ``sleep``, or the next one."""
        if self._asleep.locked():
            self._asleep.release()

    def decide(self, error: Exception | None) -> None:
        """Notes the outcome: the error of a write that stored nothing, or None where the row is committed."""
        if isinstance(error, StoreTimeout) and not isinstance(error, OutcomeUnknown):
            # the caller may send it again at once, unlike one whose outcome is unknown
            error = StoreUnavailable(str(error))
        self.is_decided, self.error = True, error


class GroupCommit(Generic[Row]):
    """Passes rows to ``write``, which commits them in one transaction, one transaction at a time.

    Rows that arrive during a transaction are written together in the next.
    ``write`` takes the rows and its time limit in seconds, and returns an
    error, or None, for each row. Each row is decided by its own deadline, a
    moment of time.monotonic(): the rows of a transaction that took too long
    go into the next one as long as they have time.

    There is no thread for this. The thread of the first row leads: it writes
    its own row with all that wait, and then hands the lead to the next row
    that waits. So a row that is alone is written without waking another thread.
    """

    def __init__(self, write: Callable[[list[Row], float], Sequence[Exception | None]]) -> None:
        self._write = write
        self._lock = Lock()
        self._pending: list[_Entry[Row]] = []
        self._has_leader = False

    def add(self, row: Row, deadline: float) -> None:
        """Returns when the row is committed.

        Raises the error of this row: where ``write`` raises, each row is
        written by itself. Raises StoreUnavailable where the row is certainly
        not stored, and OutcomeUnknown where nobody knows.
        """
        entry = _Entry(row, deadline)
        with self._lock:
            self._pending.append(entry)
            entry.leads, self._has_leader = not self._has_leader, True
        if not entry.leads:
            self._follow(entry)
        while not entry.is_decided:
            self._write_with_others(entry)
        if entry.error is not None:
            raise entry.error

    def _follow(self, entry: _Entry[Row]) -> None:
        """Returns when the row is decided, or leads."""
        entry.sleep(entry.deadline - time.monotonic())
        if self._is_being_written(entry):
            # its transaction is about to reach its own limit
            entry.sleep(CLIENT_MARGIN_SECONDS)
        with self._lock:
            if entry.is_waiting():
                if entry.is_taken:
                    entry.decide(OutcomeUnknown("the transaction of this result does not end"))
                else:
                    self._pending.remove(entry)
                    entry.decide(StoreUnavailable(TOOK_TOO_LONG))

    def _is_being_written(self, entry: _Entry[Row]) -> bool:
        with self._lock:
            return entry.is_waiting() and entry.is_taken

    def _write_with_others(self, leader: _Entry[Row]) -> None:
        """Writes the leader's row and those that wait, and hands on the lead once the leader's row is decided."""
        entries = self._take(leader)
        undecided: list[_Entry[Row]] = []
        try:
            undecided = self._write_once(entries)
        except BaseException as error:  # noqa: BLE001  a caller must not wait for ever
            self._decide(entries, [OutcomeUnknown(f"the transaction was interrupted: {error!r}")] * len(entries))
        with self._lock:
            for entry in entries:
                entry.is_taken = False
            # the threads of some may have given up
            self._pending[:0] = [entry for entry in undecided if not entry.is_decided]
            if leader.is_decided:
                self._hand_on_lead()
        # the next leader begins to write before the others respond
        for entry in entries:
            if entry.is_decided and entry is not leader:
                entry.wake()

    def _take(self, leader: _Entry[Row]) -> list[_Entry[Row]]:
        """The rows of the next transaction."""
        with self._lock:
            taken = [entry for entry in self._pending if entry is leader or not entry.is_written_alone]
            if leader.is_written_alone:
                taken = [leader]
            self._pending = [entry for entry in self._pending if entry not in taken]
            for entry in taken:
                entry.is_taken = True
        return taken

    def _hand_on_lead(self) -> None:
        self._has_leader = bool(self._pending)
        if self._pending:
            self._pending[0].leads = True
            self._pending[0].wake()

    def _write_once(self, entries: list[_Entry[Row]]) -> list[_Entry[Row]]:
        """Writes rows in one transaction. Returns those that it did not store and that have time for another one."""
        entries = self._refuse_late(entries, StoreUnavailable(TOOK_TOO_LONG))
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
                return self._refuse_late(entries, error)
            # no row is at fault, so writing each by itself would only take longer
            errors = [error] * len(entries)
        except Exception as error:  # noqa: BLE001  add raises it
            if len(entries) > 1:
                for entry in entries:
                    entry.is_written_alone = True
                return entries
            errors = [error]
        self._decide(entries, errors)
        return []

    def _decide(self, entries: list[_Entry[Row]], errors: Sequence[Exception | None]) -> None:
        with self._lock:
            for entry, error in zip(entries, errors, strict=True):
                # its thread may have given up
                if not entry.is_decided:
                    entry.decide(error)

    def _refuse_late(self, entries: list[_Entry[Row]], error: StoreError) -> list[_Entry[Row]]:
        """The rows that have time left. The others get the error."""
        latest = time.monotonic() + MIN_WRITE_SECONDS
        late = [entry for entry in entries if entry.deadline < latest]
        self._decide(late, [error] * len(late))
        return [entry for entry in entries if not entry.is_decided]
