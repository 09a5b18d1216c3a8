"""Numbers, addresses and times as people read them: the filters of the templates.

``None`` is written as NOTHING by each of them.
"""

from datetime import UTC, datetime, timedelta

from flask import Flask
from markupsafe import Markup, escape

NOTHING = "–"
MINUS = "−"
_MAX_ADDRESS_CHARACTERS = 14
_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


def init_app(app: Flask) -> None:
    """Gives the templates these filters."""
    for format_value in (score, percent, seconds, count, change, points, moment, span, short_address, plural):
        app.jinja_env.filters[format_value.__name__] = format_value


def score(value: float | None) -> str:
    """A score from 0 to 1 with three digits."""
    return NOTHING if value is None else f"{value:.3f}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 in percent. Only 1 is written as 100 %, and only 0 as 0 %."""
    if share is None:
        return NOTHING
    text = f"{100 * share:.{digits}f}"
    if float(text) == 100 and share < 1:
        text = f"{100 - 10**-digits:.{digits}f}"
    elif float(text) == 0 and share > 0:
        return f"< {10**-digits:.{digits}f} %"
    return "100 %" if share == 1 else "0 %" if share == 0 else f"{text} %"


def seconds(value: float | None) -> str:
    """A round trip time with its unit."""
    if value is None:
        return NOTHING
    if value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.2f} s" if value < 100 else f"{value:,.0f} s"


def short_seconds(value: float) -> str:
    """A round time with its unit, as the mark of an axis: 500 ms, 2 s."""
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:,.4g} s"


def count(value: int | None) -> str:
    """A number of things."""
    return NOTHING if value is None else f"{value:,}"


def change(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A signed difference; ±0 where there is none."""
    if value is None:
        return NOTHING
    rounded = round(value, digits)
    sign = "±" if rounded == 0 else "+" if rounded > 0 else MINUS
    return f"{sign}{abs(rounded):,.{digits}f}{unit}"


def points(share: float | None) -> str:
    """The difference of two shares, in percentage points."""
    return change(None if share is None else 100 * share, 1, " points")


def moment(value: datetime | None, now: datetime | None = None) -> Markup | str:
    """A time relative to now, with the exact moment in UTC on hover. The script of the pages keeps it current."""
    if value is None:
        return NOTHING
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S} UTC", _relative(utc, now or datetime.now(UTC))
    )


def span(value: timedelta) -> str:
    """A length of time in its largest unit: 3 days, 1 hour."""
    name, unit = next(((name, unit) for name, unit in _UNITS if value >= unit), _UNITS[-1])
    return plural(int(value / unit), name)


def plural(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: ``1 result``, ``2 results``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def short_address(address: str) -> Markup | str:
    """An address cut in the middle, whole for who copies or hears it."""
    if len(address) <= _MAX_ADDRESS_CHARACTERS:
        return escape(address)
    return Markup('<abbr class="address" title="{}">{}…{}</abbr>').format(address, address[:8], address[-4:])


def _relative(value: datetime, now: datetime) -> str:
    age = now - value
    if abs(age) < timedelta(seconds=1):
        return "now"
    return f"{span(age)} ago" if age > timedelta(0) else f"in {span(-age)}"
