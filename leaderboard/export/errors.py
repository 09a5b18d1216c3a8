"""What can go wrong at the place that exports go to."""

from collections.abc import Iterator
from contextlib import contextmanager

from leaderboard.storage.delta import FAILURES, reason


class TargetError(Exception):
    """The target cannot be written to, or read; the message is one sentence."""


class TargetConflict(Exception):
    """Another writer of the target was first; the same export may work later."""


@contextmanager
def failures(to: str) -> Iterator[None]:
    """Has what the stores raise rise as TargetError."""
    try:
        yield
    except FAILURES as error:
        raise TargetError(f"{to} cannot be written: {reason(error)}") from error
