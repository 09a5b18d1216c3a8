"""Many requests, each with a row of its own, written in few transactions."""

from collections.abc import Callable
from typing import Generic, TypeVar

from queries import StoreTimeout, StoreUnavailable
from queries.concurrency import CallBatcher

Row = TypeVar("Row")


class GroupCommit(Generic[Row]):
    """Hands rows to ``write``, which commits those it is given in one transaction, one transaction at a time.

    Rows that come while one is under way are written together by the next.
    """

    def __init__(self, write: Callable[[list[Row]], None], seconds: float) -> None:
        self._write = write
        self._gathered: CallBatcher[Row, list[Exception | None]] = CallBatcher(self._commit, seconds)

    def add(self, row: Row) -> None:
        """Returns once the row is committed.

        Raises what ``write`` raises of this row alone: where it refuses
        several rows, each is written by itself. Raises StoreTimeout after
        ``seconds`` of waiting for a turn, in which case it is not written.
        """
        errors, place = self._gathered(row)
        if (error := errors[place]) is not None:
            raise error

    def _commit(self, rows: list[Row]) -> list[Exception | None]:
        try:
            self._write(rows)
        except (StoreUnavailable, StoreTimeout) as error:
            return [error] * len(rows)
        except Exception as error:  # noqa: BLE001  raised to those who wait
            return [error] if len(rows) == 1 else [self._commit([row])[0] for row in rows]
        return [None] * len(rows)
