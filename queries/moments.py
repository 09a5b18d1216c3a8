"""Moments as microseconds since 1970, and as text."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
"""The shortest time between two moments."""
RFC_3339 = "%Y-%m-%dT%H:%M:%S%.6fZ"
"""How Polars writes moments in UTC as text."""

_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    """Microseconds since 1970 as a moment, the last one that there is for any after it."""
    return EPOCH + min(micros, _LAST) * MICROSECOND
