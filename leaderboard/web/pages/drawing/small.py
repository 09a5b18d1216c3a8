"""Pictures that stand in a line of text or in the cell of a table."""

from collections.abc import Sequence

from markupsafe import Markup

BAR_WIDTH, BAR_HEIGHT = 100, 12
SPARK_WIDTH, SPARK_HEIGHT = 96, 20
_MARGIN = 2


def score_bar(value: float | None, low: float | None = None, high: float | None = None) -> Markup:
    """A bar from 0 to ``value`` (0..1) with the interval from ``low`` to ``high`` as a whisker.

    It is empty for None. The numbers stand beside it, so screen readers skip it.
    """
    parts = [f'<rect class="track" width="{BAR_WIDTH}" height="{BAR_HEIGHT}"/>']
    if value is not None:
        parts.append(f'<rect class="bar" width="{_number(value * BAR_WIDTH)}" height="{BAR_HEIGHT}"/>')
    if low is not None and high is not None:
        start, end, middle = low * BAR_WIDTH, high * BAR_WIDTH, BAR_HEIGHT / 2
        ends = "".join(f"M{_number(x)} {_number(middle - 3)}v6" for x in (start, end))
        parts.append(f'<path class="whisker" d="M{_number(start)} {_number(middle)}H{_number(end)}{ends}"/>')
    return _svg("score-bar", BAR_WIDTH, BAR_HEIGHT, parts, stretches=True)


def sparkline(values: Sequence[float | None]) -> Markup:
    """The course of scores (0..1) from left to right. None leaves a gap, and a value between gaps is a dot."""
    step = (SPARK_WIDTH - 2 * _MARGIN) / max(1, len(values) - 1)
    path, dots, is_drawing = [], [], False
    for position, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        x = _number(_MARGIN + position * step)
        y = _number(SPARK_HEIGHT - _MARGIN - value * (SPARK_HEIGHT - 2 * _MARGIN))
        follows = position + 1 < len(values) and values[position + 1] is not None
        if not is_drawing and not follows:
            dots.append(f'<circle cx="{x}" cy="{y}" r="1.5"/>')
        path.append(f"{'L' if is_drawing else 'M'}{x} {y}")
        is_drawing = True
    return _svg("sparkline", SPARK_WIDTH, SPARK_HEIGHT, [f'<path d="{"".join(path)}"/>', *dots])


def _svg(name: str, width: int, height: int, parts: Sequence[str], *, stretches: bool = False) -> Markup:
    """A picture of this size, which may be stretched to the width of its cell."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ratio = ' preserveAspectRatio="none"' if stretches else ""
    return Markup(f'<svg class="{name}" {size}{ratio} aria-hidden="true">{"".join(parts)}</svg>')


def _number(value: float) -> str:
    """A coordinate with one digit at most after the point."""
    return f"{value:.1f}".removesuffix(".0")
