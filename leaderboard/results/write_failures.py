"""Remembers whether the last write failed, for health."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from queries.errors import StoreError, StoreUnavailable

FAILURE_SECONDS = 10.0
"""How long a write that failed counts: testers post more often."""


class WriteFailures:
    """Notes how writes end. Threads may share it."""

    def __init__(self) -> None:
        self._failed_at: float | None = None

    @property
    def has_just_failed(self) -> bool:
        """Whether the database refused a write less than FAILURE_SECONDS ago, and none worked since."""
        failed_at = self._failed_at
        return failed_at is not None and time.monotonic() < failed_at + FAILURE_SECONDS

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Notes how the block ends.

        A write that had no working connection does not count: that is another
        fault, which ends when there is a connection again.
        """
        try:
            yield
        except StoreError as error:
            if not _had_no_connection(error):
                self._failed_at = time.monotonic()
            raise
        self._failed_at = None


def _had_no_connection(error: StoreError) -> bool:
    state = getattr(error.__cause__, "pgcode", None) or ""
    # 08 is a lost connection, and 57 a server that stops or starts
    return isinstance(error, StoreUnavailable) and (not state or state[:2] in ("08", "57"))
