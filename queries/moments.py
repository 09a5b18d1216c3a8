"""Moments as microseconds since 1970, and as text, and the days that they lie in."""

from datetime import UTC, date, datetime, time, timedelta

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


def bounds(day: date) -> tuple[datetime, datetime]:
    """The first and the last moment of a day, in UTC."""
    return datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC)
