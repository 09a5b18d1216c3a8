"""One dot per orchestrator: how reliable it is, against how fast or how good."""

from collections.abc import Sequence
from math import floor
from statistics import median
from typing import NamedTuple

from markupsafe import Markup

from leaderboard.web.pages.drawing.scales import Scale, diagram, linear_scale, log_scale, percent, pixels
from leaderboard.web.pages.layout import formats

HEIGHT = 260
"""Pixels between the axes."""
LOG_FACTOR = 5
"""Times are drawn on a logarithmic scale where the longest is so many times the shortest."""
_MARGIN = 0.05
_MAX_LOWEST_SHARE = 0.9


class Dot(NamedTuple):
    """An orchestrator. ``x`` is in seconds, or a quality, ``success_rate`` from 0 to 1.

    ``title`` tells its numbers. A dot of few tests is hollow.
    """

    x: float
    success_rate: float
    address: str
    title: str
    url: str
    is_few: bool


def success_against_time(dots: Sequence[Dot]) -> Markup:
    """Success against the median round trip time in seconds (not empty). The best corner is at the top left."""
    low, high = min(dot.x for dot in dots), max(dot.x for dot in dots)
    label = "median round trip time"
    if high / low >= LOG_FACTOR:
        x = log_scale(label, low / 1.2, high * 1.2, formats.short_seconds)
    else:
        x = linear_scale(label, max(0.0, low - _MARGIN * high), high * (1 + _MARGIN), formats.short_seconds)
    return _scatter(dots, x, "time", best_is_low=True)


def success_against_quality(dots: Sequence[Dot]) -> Markup:
    """Success against the quality of live video, from 0 to 1 (not empty). The best corner is at the top right."""
    low = floor(10 * min(dot.x for dot in dots)) / 10
    x = linear_scale("mean quality", min(low, 0.8), 1 + _MARGIN / 2, lambda value: f"{value:.2g}")
    return _scatter(dots, x, "quality", best_is_low=False)


def _scatter(dots: Sequence[Dot], x: Scale, measure: str, *, best_is_low: bool) -> Markup:
    lowest = min(floor(20 * min(dot.success_rate for dot in dots)) / 20, _MAX_LOWEST_SHARE)
    top = 1 + _MARGIN * (1 - lowest)
    y = linear_scale("success", lowest, top, lambda share: f"{100 * share:.0f} %", min_step=0.01)
    # full dots first, so that they do not hide hollow ones
    drawn = (_dot(dot, x, y) for dot in sorted(dots, key=lambda dot: dot.is_few))
    summary = f"Success against {measure} of {formats.plural(len(dots), 'orchestrator')}. The table has the numbers."
    return diagram("scatter", summary, HEIGHT, x, y, [_best_corner(dots, x, y, best_is_low=best_is_low), *drawn])


def _best_corner(dots: Sequence[Dot], x: Scale, y: Scale, *, best_is_low: bool) -> Markup:
    """What is at least as good as the median orchestrator in both."""
    middle = x.place(median(dot.x for dot in dots))
    start, width = (0.0, middle) if best_is_low else (middle, 1 - middle)
    height = pixels(y.place(median(dot.success_rate for dot in dots)), HEIGHT)
    label = Markup('<text x="{}" y="-8" text-anchor="{}">best corner {}</text>')
    label = label.format("0", "start", "↙") if best_is_low else label.format("100%", "end", "↘")
    rectangle = Markup('<rect class="best" x="{}" y="0" width="{}" height="{}"/>')
    return rectangle.format(percent(start), percent(width), height) + label


def _dot(dot: Dot, x: Scale, y: Scale) -> Markup:
    return Markup(
        '<a href="{}" tabindex="-1" aria-label="{}">'
        '<circle class="{}" cx="{}" cy="{}" r="5.5"><title>{}</title></circle></a>'
    ).format(
        dot.url,
        dot.address,
        "dot few" if dot.is_few else "dot",
        percent(x.place(dot.x)),
        pixels(y.place(dot.success_rate), HEIGHT),
        dot.title,
    )
