"""How values are distributed: stacked bars, with lines at the median and at the end of the slow or bad ones."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from math import ceil
from typing import NamedTuple

from markupsafe import Markup

from leaderboard.web.pages.drawing.scales import Scale, diagram, linear_scale, log_scale, percent, pixels
from leaderboard.web.pages.layout import formats

HEIGHT = 260
"""Pixels between the axes."""
LOG_FACTOR = 8
"""Times are drawn on a logarithmic scale where the longest is so many times the shortest."""
MIN_BARS, MAX_BARS = 8, 40
QUALITY_BARS = 20
FEW_JOBS = 10
"""The bars of fewer jobs are hollow."""


class Part(NamedTuple):
    """Some of the values, with a name, which is also the class of their bars."""

    name: str
    values: Sequence[float]


class Line(NamedTuple):
    """A value that is marked, with its label."""

    value: float
    label: str


def time_distribution(parts: Sequence[Part], lines: Sequence[Line]) -> Markup:
    """Round trip times in seconds (> 0, not empty), on a logarithmic scale where they differ much."""
    values = [value for part in parts for value in part.values]
    low, high = min(values), max(values)
    # by the rule of Rice
    bars = min(MAX_BARS, max(MIN_BARS, ceil(2 * len(values) ** (1 / 3))))
    make_scale = log_scale if high / low >= LOG_FACTOR else linear_scale
    x = make_scale("round trip time", low, high, formats.short_seconds)
    return _distribution(parts, x, bars, lines, formats.seconds)


def quality_distribution(parts: Sequence[Part], lines: Sequence[Line]) -> Markup:
    """Qualities of live video, from 0 to 1 (not empty)."""
    x = linear_scale("quality", 0, 1, lambda value: f"{value:.1f}")
    return _distribution(parts, x, QUALITY_BARS, lines, lambda value: f"{value:.2f}")


def _distribution(
    parts: Sequence[Part], x: Scale, bars: int, lines: Sequence[Line], write: Callable[[float], str]
) -> Markup:
    """Bars that are equally wide on the scale, those of later parts upon those of earlier ones."""
    counts = [Counter(min(bars - 1, int(x.place(value) * bars)) for value in part.values) for part in parts]
    levels = [list(accumulate((count[bar] for count in counts), initial=0)) for bar in range(bars)]
    y = linear_scale("jobs", 0, max(level[-1] for level in levels), lambda jobs: f"{jobs:,.0f}", min_step=1)
    drawn = []
    for bar, level in enumerate(levels):
        ends = f"{write(x.value_at(bar / bars))} to {write(x.value_at((bar + 1) / bars))}"
        for part, bottom, top in zip(parts, level, level[1:], strict=False):
            if top > bottom:
                title = f"{ends}: {formats.plural(top - bottom, 'job')} ({part.name})"
                drawn.append(_bar(part.name, (bar / bars, 1 / bars), (y.place(bottom), y.place(top)), title))
    total = sum(len(part.values) for part in parts)
    kind = "distribution few" if total < FEW_JOBS else "distribution"
    summary = f"{x.label} of {formats.plural(total, 'job')}: {', '.join(line.label for line in lines)}"
    return diagram(kind, summary, HEIGHT, x, y, [*drawn, *_lines(lines, x)])


def _bar(name: str, across: tuple[float, float], upwards: tuple[float, float], title: str) -> Markup:
    """A bar with its start and width, and its bottom and top."""
    (start, width), (bottom, top) = across, upwards
    place = (percent(start), percent(width), pixels(top, HEIGHT), pixels(1 - top + bottom, HEIGHT))
    rectangle = Markup('<rect class="{}" x="{}" width="{}" y="{}" height="{}"><title>{}</title></rect>')
    return rectangle.format(name, *place, title)


def _lines(lines: Sequence[Line], x: Scale) -> Iterator[Markup]:
    """The lines, each with its label above the bars, the labels of later ones higher than those of earlier ones."""
    for number, (value, label) in enumerate(lines):
        place, height = x.place(value), -6 - 15 * number
        yield Markup(
            '<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/><text x="{0}" y="{3}" text-anchor="{4}">{5}</text>'
        ).format(percent(place), height + 4, HEIGHT, height, "start" if place < 1 / 2 else "end", label)
