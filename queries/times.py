"""Moments as microseconds since 1970, and as text, and the days that they lie in."""

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
"""The shortest time between two moments."""
RFC_3339_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
"""How Polars writes moments in UTC as text."""

MIN_TIME, MAX_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""The bounds of every window."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
# a + that was not escaped in the URL has become a space
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+ -]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_MAX_SECONDS = 10**11
_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND


def to_micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """Microseconds since 1970 as a moment, the last one that there is for any after it."""
    return EPOCH + min(micros, _LAST) * MICROSECOND


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """The first and the last moment of a day, in UTC."""
    return datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC)


class TimeRange(NamedTuple):
    """A span of time, both ends included; it is empty where since is after until."""

    since: datetime
    until: datetime


def time_range(since: datetime | None, until: datetime | None, hours: float) -> TimeRange:
    """The window with these ends: until now, and from the earliest time or, with neither, ``hours`` ago."""
    if until is not None:
        return TimeRange(since or MIN_TIME, until)
    recent = last_hours(hours)
    return TimeRange(since or recent.since, recent.until)


def last_hours(hours: float) -> TimeRange:
    """The last ``hours``."""
    now = datetime.now(UTC)
    try:
        return TimeRange(now - timedelta(hours=hours), now)
    except OverflowError:
        return TimeRange(MIN_TIME, now)


def parse_moment(given: str) -> datetime:
    """An aware datetime from unix seconds, fractions allowed, or RFC 3339. Raises ValueError."""
    given = given.strip()
    if match := _RFC_3339.fullmatch(given):
        date, time, zone = match.groups()
        try:
            return datetime.fromisoformat(f"{date}T{time}{zone.replace(' ', '+')}".upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"must be a date that exists, not {given!r}") from None
    seconds = float(given) if _NUMBER.fullmatch(given) else math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"must be unix seconds (1789371400) or RFC 3339 (2026-09-14T07:36:40Z), not {given!r}")
    if abs(seconds) > _MAX_SECONDS:
        raise ValueError(f"must be in seconds; {given} is past 10^11, milliseconds by mistake?")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return MIN_TIME
