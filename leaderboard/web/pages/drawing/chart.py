"""The course of scores, shares or times over a window, as a figure that the script of the pages lets zoom."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from leaderboard.web.pages.drawing.axes import Tick, round_steps, time_ticks
from leaderboard.web.pages.layout import formats
from queries import SUGGESTED_MIN_EVENTS
from queries.times import TimeRange

SCORE, SHARE, SECONDS = "score", "share", "seconds"
"""What the values are: scores or shares on an axis from 0 to 1, or seconds on one from 0."""
REFERENCE = "reference"
"""The style of what values are compared with, such as the median of the network: a dashed grey line without dots."""
SIZE = 1000
"""The width and the height of the plot in units of its own; the page stretches it."""
_MAX_NARROW_TICKS = 4
_WRITE: dict[str, Callable[[float | None], str]] = {
    SCORE: formats.score,
    SHARE: formats.percent,
    SECONDS: formats.seconds,
}

Point = tuple[float | None, int]
"""A value and the number of tests on which it rests. None where they give no value."""


class Series(NamedTuple):
    """One line: its label, its points by the start of their step, and its style.

    ``style`` is ``primary``, one of ``series-1`` to ``series-6``, or REFERENCE.
    """

    label: str
    points: Mapping[datetime, Point]
    style: str = "primary"


class Band(NamedTuple):
    """A span of time that is shaded, such as an incident, and what happened in it."""

    begin: datetime
    end: datetime
    label: str


class _Plot(NamedTuple):
    """What the parts of a chart share: its axes, and the starts of its steps."""

    since: datetime
    until: datetime
    step: timedelta
    starts: tuple[datetime, ...]
    unit: str
    value_ticks: tuple[Tick, ...]
    top: float

    def x(self, moment: datetime) -> float:
        """The place of a moment from left to right, inside the plot."""
        return SIZE * min(1.0, max(0.0, (moment - self.since) / (self.until - self.since)))

    def y(self, value: float) -> float:
        """The place of a value from top to bottom."""
        return SIZE * (1 - value / self.top)

    def middle(self, start: datetime) -> datetime:
        """The middle of a step, where its value is drawn."""
        return min(self.until, max(self.since, start + self.step / 2))


def history_chart(
    label: str,
    time_range: TimeRange,
    step: timedelta,
    series: Sequence[Series],
    *,
    unit: str = SCORE,
    bands: Sequence[Band] = (),
) -> Markup:
    """A figure with the lines of the ``series`` over a window (not empty) that is cut into steps of equal length.

    A line has a gap where a step has no value. A point that rests on fewer than
    SUGGESTED_MIN_EVENTS tests is hollow. The axis begins with the first point
    if more than half of the window is before it. Text is escaped, unless it is
    Markup. Without any value the figure says so.
    """
    plot = _plot(time_range, step, series, unit)
    if plot is None:
        return Markup(
            '<figure class="chart"><figcaption>{}</figcaption><p>No data for this window.</p></figure>'
        ).format(label)
    summaries = [f"{Markup(one.label).striptags()}: {text}" for one in series if (text := _summary(plot, one))]
    picture = Markup("").join([*_axes(plot), *_inner(plot, series, bands)])
    return Markup(
        '<figure class="chart" data-chart><figcaption>{}</figcaption>'
        '<svg class="plot" role="img" aria-label="{}">{}</svg>'
        '<ul class="legend">{}</ul><script type="application/json">{}</script></figure>'
    ).format(
        label,
        f"{Markup(label).striptags()}. {'; '.join(summaries)}",
        picture,
        Markup("").join(_legend(plot, one) for one in series),
        htmlsafe_json_dumps(_data(plot, series, bands)),
    )


def _plot(time_range: TimeRange, step: timedelta, series: Sequence[Series], unit: str) -> _Plot | None:
    """The axes of a chart. None if no point has a value."""
    points = [(start, value) for one in series for start, (value, _) in one.points.items() if value is not None]
    if not points:
        return None
    first, last = min(points)[0], max(points)[0]
    steps = {first + number * step for number in range((last - first) // step + 1)}
    since, until = time_range
    since = first if first - since > until - first else since
    ticks = round_steps(max(value for _, value in points) or 1.0) if unit == SECONDS else (0, 0.25, 0.5, 0.75, 1)
    top = ticks[-1]
    return _Plot(
        since=since,
        until=max(until, since + step),
        step=step,
        starts=tuple(sorted(steps.union(start for start, _ in points))),
        unit=unit,
        value_ticks=tuple(Tick(value / top, _tick_label(value, unit)) for value in ticks),
        top=top,
    )


def _tick_label(value: float, unit: str) -> str:
    return {SCORE: f"{value:g}", SHARE: f"{100 * value:g} %", SECONDS: f"{value:g} s"}[unit]


def _axes(plot: _Plot) -> Iterator[Markup]:
    """The labels of the axes. They are outside of what is stretched, so that text keeps its shape."""
    for tick in plot.value_ticks:
        yield Markup('<text x="-6" y="{}%" dy="0.32em" text-anchor="end">{}</text>').format(
            _number(100 * (1 - tick.place)), tick.label
        )
    ticks = time_ticks(plot.since, plot.until)
    for number, tick in enumerate(ticks):
        is_wide = len(ticks) > _MAX_NARROW_TICKS and number % 2
        yield Markup('<text{} x="{}%" y="100%" dy="1.5em" text-anchor="middle">{}</text>').format(
            Markup(' class="wide"') if is_wide else "", _number(100 * tick.place), tick.label
        )


def _inner(plot: _Plot, series: Sequence[Series], bands: Sequence[Band]) -> Iterator[Markup]:
    """Bands, grid and lines, in a picture that is stretched to the size of the plot."""
    yield Markup('<svg viewBox="0 0 {0} {0}" width="100%" height="100%" preserveAspectRatio="none">').format(SIZE)
    for band in bands:
        begin, end = plot.x(band.begin), plot.x(band.end)
        if end > begin:
            yield Markup('<rect class="band" x="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                _number(begin), _number(end - begin), SIZE, band.label
            )
    grid = "".join(f"M0 {_number(SIZE * (1 - tick.place))}H{SIZE}" for tick in plot.value_ticks)
    yield Markup('<path class="grid" d="{}"/>').format(grid)
    for one in series:
        line, few, single = _paths(plot, one)
        yield Markup('<g class="{}"><path class="line" d="{}"/>').format(one.style, line)
        if single:
            yield Markup('<path class="dot" d="{}"/>').format(single)
        if few and one.style != REFERENCE:
            yield Markup('<path class="dot" d="{0}"/><path class="dot-hole" d="{0}"/>').format(few)
        yield Markup("</g>")
    yield Markup("</svg>")


def _paths(plot: _Plot, one: Series) -> tuple[str, str, str]:
    """The line, the points that rest on few tests, and the points between two gaps that rest on many."""
    line, few, single = [], [], []
    values = [one.points.get(start, (None, 0)) for start in plot.starts]
    for number, (start, (value, count)) in enumerate(zip(plot.starts, values, strict=True)):
        if value is None:
            continue
        place = f"{_number(plot.x(plot.middle(start)))} {_number(plot.y(value))}"
        follows = number + 1 < len(values) and values[number + 1][0] is not None
        continues = number > 0 and values[number - 1][0] is not None
        line.append(f"{'L' if continues else 'M'}{place}")
        if count < SUGGESTED_MIN_EVENTS:
            few.append(f"M{place}h0")
        elif not follows and not continues:
            single.append(f"M{place}h0")
    return "".join(line), "".join(few), "".join(single)


def _legend(plot: _Plot, one: Series) -> Markup:
    """The line's style, its label and its last value. The script shows the value under the pointer instead."""
    last = max(((start, point) for start, point in one.points.items() if point[0] is not None), default=None)
    value, count = (_write(plot)(last[1][0]), formats.plural(last[1][1], "test")) if last else (formats.NOTHING, "")
    return Markup(
        '<li><span class="swatch {}"></span> {} <b class="legend-value">{}</b> '
        '<small class="legend-count">{}</small></li>'
    ).format(one.style, one.label, value, count)


def _summary(plot: _Plot, one: Series) -> str:
    """The range of a line and its last value in words, for who does not see it."""
    values = [value for start in plot.starts if (value := one.points.get(start, (None, 0))[0]) is not None]
    write = _write(plot)
    return f"{write(min(values))} to {write(max(values))}, last {write(values[-1])}" if values else ""


def _write(plot: _Plot) -> Callable[[float | None], str]:
    """How the chart's values are written."""
    return _WRITE[plot.unit]


def _data(plot: _Plot, series: Sequence[Series], bands: Sequence[Band]) -> dict[str, Any]:
    """What the script draws. Times are seconds since 1970."""

    def seconds(moment: datetime) -> int:
        return round(moment.timestamp())

    def column(one: Series) -> dict[str, Any]:
        points = [one.points.get(start, (None, 0)) for start in plot.starts]
        return {
            "style": one.style,
            "values": [None if value is None else round(value, 4) for value, _ in points],
            "counts": [count for _, count in points],
        }

    return {
        "unit": plot.unit,
        "range": [seconds(plot.since), seconds(plot.until)],
        "ticks": [tick.place * plot.top for tick in plot.value_ticks],
        "few": SUGGESTED_MIN_EVENTS,
        "step": round(plot.step.total_seconds()),
        "times": [seconds(plot.middle(start)) for start in plot.starts],
        "series": [column(one) for one in series],
        "bands": [[seconds(band.begin), seconds(band.end), band.label] for band in bands],
    }


def _number(value: float) -> str:
    """A coordinate with one digit at most after the point."""
    return f"{value:.1f}".removesuffix(".0")
