"""Moments as microseconds since 1970."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
"""The shortest time between two moments."""

_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    """Microseconds since 1970 as a moment, the last one that there is for any after it."""
    return EPOCH + min(micros, _LAST) * MICROSECOND
