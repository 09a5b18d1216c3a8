"""Group commit: the rows of many requests are written in few transactions."""

from collections.abc import Callable
from typing import Generic, TypeVar

from queries.concurrency import CallBatcher
from queries.errors import StoreError

Row = TypeVar("Row")


class GroupCommit(Generic[Row]):
    """Passes rows to ``write``, which commits them in one transaction, one transaction at a time.

    Rows that arrive during a transaction are written together in the next.
    A row waits at most ``timeout`` seconds for the transaction before it.
    """

    def __init__(self, write: Callable[[list[Row]], object], timeout: float) -> None:
        self._write = write
        self._batcher: CallBatcher[Row, list[Exception | None]] = CallBatcher(self._write_batch, timeout)

    def add(self, row: Row) -> None:
        """Returns when the row is committed.

        Raises what ``write`` raises for this row alone: where it refuses
        several rows, each is written by itself. Raises StoreTimeout where the
        row waits too long; then it is not written.
        """
        errors, index = self._batcher(row)
        if (error := errors[index]) is not None:
            raise error

    def _write_batch(self, rows: list[Row]) -> list[Exception | None]:
        """The error of each row, None where it was committed."""
        try:
            self._write(rows)
        except StoreError as error:
            # no row is at fault, so writing each by itself would only take longer
            return [error] * len(rows)
        except Exception as error:  # noqa: BLE001  add raises it
            return [error] if len(rows) == 1 else [self._write_batch([row])[0] for row in rows]
        return [None] * len(rows)
