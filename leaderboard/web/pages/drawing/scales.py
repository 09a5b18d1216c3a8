"""Scales of diagrams, and the frame around what is drawn between them.

A diagram is as wide as the page allows: places on the x axis are percentages,
and places on the y axis are pixels. So its text keeps its size on a phone.
"""

from collections.abc import Callable, Iterable, Iterator
from math import ceil, floor, log10
from typing import NamedTuple

from markupsafe import Markup

from leaderboard.web.pages.drawing.axes import Tick, time_ticks
from queries.times import TimeRange

_STEPS = (1, 2, 5, 10)
_MAX_DECADES_WITH_STEPS = 2.2
"""A logarithmic scale that is longer has a tick at each power of ten only."""
_MAX_NARROW_TICKS = 6


class Scale(NamedTuple):
    """From ``low`` to ``high``, with ticks and a label that names the unit."""

    label: str
    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at ``low``, 1 at ``high``. What lies outside is at the end."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = log10(low), log10(high), log10(max(value, low))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def value_at(self, place: float) -> float:
        """The value that lies at a place."""
        if self.is_log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place

    def with_ticks(self, values: Iterable[float], write: Callable[[float], str]) -> "Scale":
        """This scale with ticks at those of the values that lie on it."""
        shown = (value for value in values if self.low <= value <= self.high)
        return self._replace(ticks=tuple(Tick(self.place(value), write(value)) for value in shown))


def linear_scale(
    label: str, low: float, high: float, write: Callable[[float], str], *, max_ticks: int = 5, min_step: float = 0
) -> Scale:
    """A scale with about ``max_ticks`` round ticks, at least ``min_step`` apart."""
    high = high if high > low else low + max(abs(low), 1)
    rough = max((high - low) / max_ticks, min_step)
    power = 10.0 ** floor(log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough * 0.999)
    # rounded, as multiples of a tenth are not exact
    values = (round(number * step, 12) for number in range(floor(low / step), ceil(high / step) + 1))
    return Scale(label, low, high).with_ticks(values, write)


def log_scale(label: str, low: float, high: float, write: Callable[[float], str]) -> Scale:
    """A logarithmic scale with ticks at 1, 2 and 5 and their tenfolds, or at powers of ten where it is long."""
    high = high if high > low else low * 2
    steps = _STEPS[:3] if log10(high / low) <= _MAX_DECADES_WITH_STEPS else _STEPS[:1]
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    scale = Scale(f"{label}, logarithmic", low, high, is_log=True)
    return scale.with_ticks((step * 10.0**power for power in powers for step in steps), write)


def time_scale(time_range: TimeRange) -> Scale:
    """A scale of unix seconds, with ticks at whole hours, days or months in UTC."""
    since, until = time_range
    return Scale("UTC", since.timestamp(), until.timestamp(), time_ticks(since, until))


def percent(place: float) -> str:
    """A place on the x axis as SVG has it."""
    return f"{100 * place:.2f}".rstrip("0").rstrip(".") + "%"


def pixels(place: float, height: int) -> str:
    """A place on the y axis, which goes up, as SVG has it."""
    return f"{(1 - place) * height:.1f}".removesuffix(".0")


def diagram(name: str, summary: str, height: int, x: Scale, y: Scale | None, parts: Iterable[Markup]) -> Markup:
    """The axes and what is drawn between them. ``summary`` is what a screen reader says.

    The style sheet leaves room for the labels around it.
    """
    start = Markup('<svg class="diagram {}" role="group" aria-label="{}" height="{}">').format(name, summary, height)
    frame = [*_x_axis(x, height), *(_y_axis(y, height) if y else ())]
    return Markup("").join([start, *frame, *parts, Markup("</svg>")])


def _x_axis(scale: Scale, height: int) -> Iterator[Markup]:
    for number, tick in enumerate(scale.ticks):
        # a phone has room for every other one
        kind = "x-tick wide" if len(scale.ticks) > _MAX_NARROW_TICKS and number % 2 else "x-tick"
        yield Markup(
            '<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/><text class="{2}" x="{0}" y="{3}">{4}</text>'
        ).format(percent(tick.place), height, kind, height + 16, tick.label)
    yield Markup('<text class="x-label" x="100%" y="{}">{}</text>').format(height + 34, scale.label)


def _y_axis(scale: Scale, height: int) -> Iterator[Markup]:
    for tick in scale.ticks:
        yield Markup(
            '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/><text class="y-tick" x="-8" y="{0}">{1}</text>'
        ).format(pixels(tick.place, height), tick.label)
    yield Markup('<text class="y-label" x="-8" y="-12">{}</text>').format(scale.label)
