"""The days of a week as small bars, one per day."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

BAR_WIDTH, GAP, HEIGHT = 10, 3, 24
_MIN_HEIGHT = 2


class Day(NamedTuple):
    """The score of a day (0..1, None where nothing was scored), whether it passes, and what a pointer shows."""

    score: float | None
    passes: bool
    title: str


def day_strip(days: Sequence[Day], threshold: float) -> Markup:
    """A bar per day as high as its score, with a line at the score that passes.

    A day that passes is filled and one that does not is hollow, so the two
    differ without colours as well. A day without a score is a cross at the foot.
    """
    width = len(days) * (BAR_WIDTH + GAP) - GAP
    parts = [_bar(position * (BAR_WIDTH + GAP), day) for position, day in enumerate(days)]
    y = HEIGHT * (1 - threshold)
    parts.append(f'<path class="threshold" d="M0 {y:.1f}H{width}"/>')
    size = f'viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}"'
    return Markup(f'<svg class="days" {size} aria-hidden="true">{"".join(parts)}</svg>')


def _bar(x: int, day: Day) -> str:
    title = f"<title>{escape(day.title)}</title>"
    if day.score is None:
        return f'<path class="none" d="M{x + 2} {HEIGHT - 7}l6 6m0 -6l-6 6">{title}</path>'
    height = max(_MIN_HEIGHT, day.score * (HEIGHT - 1))
    box = f'x="{x + 0.5}" y="{HEIGHT - 0.5 - height:.1f}" width="{BAR_WIDTH - 1}" height="{height:.1f}"'
    return f'<rect class="{"passed" if day.passes else "failed"}" {box}>{title}</rect>'
