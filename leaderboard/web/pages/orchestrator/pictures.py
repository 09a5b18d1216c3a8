"""The pictures of the page: what a job costs, and one bar per day."""

from collections.abc import Mapping, Sequence
from datetime import date

from markupsafe import Markup

from leaderboard.web.pages.layout import formats

COST_WIDTH, COST_HEIGHT = 100, 12
DAY_WIDTH, DAY_HEIGHT = 3, 24
CAUSES = ("failure", "slowness", "quality")


def cost_bar(costs: Mapping[str, float], median: float, largest: float) -> Markup:
    """What failures, slowness and low quality cost side by side, with a line at what the ``median`` loses in all.

    ``largest`` (> 0) fills the bar. The numbers stand beside it, so screen readers skip it.
    """
    parts, x = [], 0.0
    for cause in CAUSES:
        width = COST_WIDTH * costs[cause] / largest
        parts.append(
            Markup('<rect class="cost-{}" x="{:.1f}" width="{:.1f}" height="{}"/>').format(cause, x, width, COST_HEIGHT)
        )
        x += width
    place = min(COST_WIDTH, COST_WIDTH * median / largest)
    parts.append(Markup('<path class="cost-median" d="M{:.1f} -2v{}"/>').format(place, COST_HEIGHT + 4))
    return Markup(
        '<svg class="cost-bar" viewBox="0 0 {0} {1}" width="{0}" height="{1}" preserveAspectRatio="none" '
        'aria-hidden="true">{2}</svg>'
    ).format(COST_WIDTH, COST_HEIGHT, Markup("").join(parts))


def day_bars(label: str, days: Sequence[date], shares: Mapping[date, tuple[float, int]]) -> Markup:
    """One bar per day, as high as the share of its tests that succeeded; days without a test have none.

    ``shares`` are the success rate and the number of tests of each day that has any.
    """
    bars = [_day_bar(number, day, *shares[day]) for number, day in enumerate(days) if day in shares]
    tested = len(bars)
    return Markup(
        '<svg class="day-bars" viewBox="0 0 {0} {1}" width="{0}" height="{1}" preserveAspectRatio="none" role="img" '
        'aria-label="{2}: tested on {3} of {4} days">{5}</svg>'
    ).format(DAY_WIDTH * len(days), DAY_HEIGHT, label, tested, len(days), Markup("").join(bars))


def _day_bar(number: int, day: date, share: float, events: int) -> Markup:
    # even a day on which everything failed has a bar
    height = max(2.0, DAY_HEIGHT * share)
    kind = "good" if share >= 0.95 else "fair" if share >= 0.7 else "bad"
    return Markup('<rect class="day-{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"><title>{}</title></rect>').format(
        kind,
        DAY_WIDTH * number,
        DAY_HEIGHT - height,
        DAY_WIDTH - 0.5,
        height,
        f"{day:%Y-%m-%d}: {formats.percent(share)} of {formats.plural(events, 'test')} succeeded",
    )
