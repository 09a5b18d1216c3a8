"""What can go wrong with an export, apart from reading the events."""

from collections.abc import Iterator
from contextlib import contextmanager

from leaderboard.storage.delta import STORE_ERRORS, first_line


class TargetError(Exception):
    """The target cannot be read or written; the message is one sentence."""


class TargetConflict(Exception):
    """Another writer changed the target first; the same export may work later."""


class IncompletePeriod(Exception):
    """Part of the requested time is not over or not settled yet; the same export works later."""


@contextmanager
def translate_store_errors(to: str) -> Iterator[None]:
    """Raises errors of folders and object stores as TargetError, except for the end of a pipe's reader."""
    try:
        yield
    except BrokenPipeError:
        raise
    except STORE_ERRORS as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise TargetError(f"{to} cannot be written: {reason or first_line(error)}") from error
