"""Spans of time side by side: one lane per tester, with what happened there."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup

from leaderboard.web.pages.drawing.scales import diagram, percent, time_scale
from leaderboard.web.pages.layout import formats
from queries.times import TimeRange

LANE_HEIGHT, BAR_TOP, BAR_HEIGHT, UNDERLINE_HEIGHT = 38, 18, 12, 4
"""Pixels."""
_MIN_WIDTH = 0.008
"""Of a bar, as a share of the window, so that a short span can be seen."""


class Span(NamedTuple):
    """What happened in a lane. ``kind`` is the class of its bar, ``title`` tells the rest.

    ``is_underline`` draws a thin bar below the others.
    """

    lane: str
    begin: datetime
    end: datetime
    kind: str
    title: str
    is_underline: bool = False


def timeline(spans: Sequence[Span], time_range: TimeRange) -> Markup:
    """The spans in their lanes, which are sorted by name. What lies outside of the window is cut off."""
    lanes = sorted({span.lane for span in spans})
    summary = f"{formats.plural(len(spans), 'span')} at {formats.plural(len(lanes), 'tester')}. The tables list them."
    parts = [*_names(lanes), *_bars(spans, lanes, time_range)]
    return diagram("timeline", summary, LANE_HEIGHT * len(lanes), time_scale(time_range), None, parts)


def _names(lanes: Sequence[str]) -> Iterator[Markup]:
    for number, lane in enumerate(lanes):
        yield Markup('<text class="lane" x="0" y="{}">{}</text>').format(number * LANE_HEIGHT + 13, lane)


def _bars(spans: Sequence[Span], lanes: Sequence[str], time_range: TimeRange) -> Iterator[Markup]:
    x = time_scale(time_range)
    rectangle = Markup('<rect class="{}" x="{}" width="{}" y="{}" height="{}"><title>{}</title></rect>')
    for span in spans:
        begin, end = x.place(span.begin.timestamp()), x.place(span.end.timestamp())
        width = max(end - begin, _MIN_WIDTH)
        top = lanes.index(span.lane) * LANE_HEIGHT + BAR_TOP
        upwards = (top + BAR_HEIGHT + 1, UNDERLINE_HEIGHT) if span.is_underline else (top, BAR_HEIGHT)
        yield rectangle.format(span.kind, percent(min(begin, 1 - width)), percent(width), *upwards, span.title)
