"""What can go wrong at the place that exports go to."""

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError


class TargetError(Exception):
    """The target cannot be written to, or read; the message is one sentence."""


class TargetConflict(Exception):
    """Another writer of the target was first; the same export may work later."""


@contextmanager
def failures(to: str) -> Iterator[None]:
    """Has what the stores raise rise as TargetError."""
    try:
        yield
    except (OSError, BaseError, DeltaError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TargetError(f"{to} cannot be written: {reason}") from error
