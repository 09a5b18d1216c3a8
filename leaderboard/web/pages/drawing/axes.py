"""The ticks of axes: round numbers and round moments."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from math import floor, log10
from typing import NamedTuple

MAX_TIME_TICKS = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS = tuple(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12))
_DAYS = tuple(timedelta(days=days) for days in (1, 2, 7, 14))
_MONTHS = (1, 3, 6, 12, 24, 60)


class Tick(NamedTuple):
    """A place on an axis, from 0 to 1, and its label."""

    place: float
    label: str


def time_ticks(since: datetime, until: datetime) -> tuple[Tick, ...]:
    """At most MAX_TIME_TICKS ticks at full hours, days or months of UTC, each with its time, day or month."""
    length = until - since
    step = next((step for step in (*_HOURS, *_DAYS) if length / step < MAX_TIME_TICKS), None)
    moments = takewhile(lambda moment: moment <= until, _steps(since, step) if step else _months(since, length))

    def label(moment: datetime) -> str:
        if step is None:
            return f"{moment:%b %Y}"
        return f"{moment:%H:%M}" if step in _HOURS and moment.hour else f"{moment.day} {moment:%b}"

    return tuple(Tick((moment - since) / length, label(moment)) for moment in moments if moment >= since)


def round_steps(largest: float, max_steps: int = 4) -> Sequence[float]:
    """Values from 0 in equal round steps, the last of them at least ``largest`` (> 0)."""
    power = 10 ** floor(log10(largest / max_steps))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * max_steps >= largest)
    values = [0.0]
    while values[-1] < largest:
        values.append(round(len(values) * step, 12))
    return values


def _steps(since: datetime, step: timedelta) -> Iterator[datetime]:
    """Moments in equal steps of UTC, the first of them at or before ``since``."""
    begin = _EPOCH + (since - _EPOCH) // step * step
    return (begin + number * step for number in count())


def _months(since: datetime, length: timedelta) -> Iterator[datetime]:
    """The beginnings of every month, third month and so on, the first of them at or before ``since``."""
    step = next((months for months in _MONTHS if length / timedelta(days=30 * months) < MAX_TIME_TICKS), _MONTHS[-1])
    month = 12 * since.year + since.month - 1
    # the years that a datetime can hold
    months = range(max(12, month - month % step), 12 * 10_000, step)
    return (datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in months)
