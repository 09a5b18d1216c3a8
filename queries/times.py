"""Moments and windows of time: parsing, and conversion to the integers that frames hold."""

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from queries.errors import quote, shorten

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
"""The shortest time between two moments."""
MIN_TIME, MAX_TIME = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
"""The first and the last moment that a datetime can hold."""
WINDOWS = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
}
"""The windows that end now, by their names in URLs."""
RFC_3339_FORMAT = "%Y-%m-%dT%H:%M:%S%.6fZ"
"""The format with which Polars writes a UTC time as text."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# a + that was not escaped in a URL arrives as a space
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+ -]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_MAX_SECONDS = 10**11
_MAX_MICROS = (MAX_TIME - EPOCH) // MICROSECOND


class TimeRange(NamedTuple):
    """A window of time that includes both bounds. It is empty where since is after until."""

    since: datetime
    until: datetime


def time_range(since: datetime | None, until: datetime | None, default_hours: float) -> TimeRange:
    """The window with these bounds.

    Without ``until`` it ends now. Without ``since`` it begins at the earliest
    time, or, where ``until`` is missing too, ``default_hours`` ago.
    """
    if until is not None:
        return TimeRange(since or MIN_TIME, until)
    recent = last_hours(default_hours)
    return TimeRange(since or recent.since, recent.until)


def last_hours(hours: float) -> TimeRange:
    """The window of the last ``hours``."""
    now = datetime.now(UTC)
    try:
        return TimeRange(now - timedelta(hours=hours), now)
    except OverflowError:
        return TimeRange(MIN_TIME, now)


def parse_moment(text: str) -> datetime:
    """An aware datetime from unix seconds (fractions allowed), RFC 3339, or a date, which means its UTC midnight.

    Raises ValueError with a sentence that completes the name of a parameter:
    "must be unix seconds …".

    >>> parse_moment("2026-09-14")
    datetime.datetime(2026, 9, 14, 0, 0, tzinfo=datetime.timezone.utc)
    """
    text = text.strip()
    if _DATE.fullmatch(text):
        return _from_iso(f"{text}T00:00:00Z", text)
    if match := _RFC_3339.fullmatch(text):
        day, clock, zone = match.groups()
        return _from_iso(f"{day}T{clock}{zone.replace(' ', '+')}".upper(), text)
    seconds = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(seconds):
        raise ValueError(
            "must be unix seconds (1789371400), RFC 3339 (2026-09-14T07:36:40Z) or a date (2026-09-14), "
            f"not {quote(text)}"
        )
    if abs(seconds) > _MAX_SECONDS:
        raise ValueError(f"must be in seconds; {shorten(text)} is past 10^11, milliseconds by mistake?")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError):
        return MIN_TIME


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, as frames hold an event_time."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The moment of microseconds since 1970; MAX_TIME for anything later."""
    return EPOCH + min(micros, _MAX_MICROS) * MICROSECOND


def day_bounds(day: date) -> TimeRange:
    """The first and the last moment of a UTC day."""
    return TimeRange(datetime.combine(day, time.min, UTC), datetime.combine(day, time.max, UTC))


def _from_iso(iso: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"must be a date that exists, not {quote(text)}") from None
