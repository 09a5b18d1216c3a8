"""The ranking as a bar chart."""

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import (
    ACCENT,
    IS_FEW,
    PRIMARY,
    PRIMARY_SOFT,
    SHARE_SCALE,
    SURFACE,
    TEXT_MUTED,
    address_axis,
    chart_title,
    collect_rows,
    few_note,
    hidden_note,
    inline_data,
    shorten_expression,
)
from queries.charts.wording import visible_text
from queries.filters import EventFilter
from queries.times import TimeRange

WIDTH = 460
"""Pixels for scores from 0 to 1."""
HOVER = (
    *("rank:Q", "orchestrator:N", alt.Tooltip("score:Q", format=".4f")),
    alt.Tooltip("score_ci_low:Q", format=".4f", title="score, 95 % from"),
    alt.Tooltip("score_ci_high:Q", format=".4f", title="score, 95 % to"),
    *(alt.Tooltip("events:Q", format=",", title="scored tests"), alt.Tooltip("regions:Q", title="regions")),
    *("succeeded:Q", "failed:Q", "unscored:Q"),
    alt.Tooltip("p50_round_trip_time:Q", format=".3f", title="median round trip time (s)"),
)
"""What a chart of the ranking's rows shows where the pointer is."""


def ranking(
    frame: IntoFrame,
    event_filter: EventFilter | None = None,
    *,
    window: TimeRange | None = None,
    highlight: str | None = None,
) -> alt.LayerChart:
    """One bar per score, the best at the top, from the rows of ``ranking``.

    The line is the score's 95 % interval, and the number on the right counts the
    scored tests. The dot is hollow where they are few. ``highlight`` is an
    orchestrator whose bar gets another colour. Orchestrators without a score have
    no bar; the subtitle says how many there are. The title names the jobs of
    ``event_filter``, and the subtitle the ``window``.

    >>> from queries import charts, ranking, sample_data
    >>> charts.ranking(ranking(sample_data.events())).save("ranking.svg")
    """
    ranked = collect_rows(frame)
    rows = ranked.drop_nulls("rank").with_columns(
        place=pl.format("{} {}", "rank", "orchestrator"),
        highlighted=pl.col("orchestrator") == pl.lit(visible_text(highlight or "")),
    )
    number, address = "split(datum.label, ' ')[0]", "split(datum.label, ' ')[1]"
    label = f"{number} + '   ' + ({shorten_expression(address)})"
    base = alt.Chart().encode(alt.Y("place:N", sort=None, axis=alt.Axis(**address_axis(label))), tooltip=[*HOVER])
    score = alt.X("score:Q", scale=SHARE_SCALE, axis=alt.Axis(title="score (0 to 1)", orient="top"))
    bars = base.mark_bar(height={"band": 0.8}).encode(
        score, color=alt.condition("datum.highlighted", alt.value(ACCENT), alt.value(PRIMARY_SOFT))
    )
    intervals = base.mark_rule(color=PRIMARY).encode(
        alt.X("score_ci_low:Q", scale=SHARE_SCALE), alt.X2("score_ci_high:Q")
    )
    dots = base.mark_point(size=22, opacity=1, color=PRIMARY, strokeWidth=1).encode(
        score, fill=alt.condition(IS_FEW, alt.value(SURFACE), alt.value(PRIMARY))
    )
    counts = base.mark_text(align="left", color=TEXT_MUTED).encode(
        x=alt.value(WIDTH + 6), text=alt.Text("events:Q", format=",")
    )
    return alt.LayerChart(layer=[bars, intervals, dots, counts], data=inline_data(rows)).properties(
        title=chart_title(
            "Ranking",
            ranked,
            event_filter,
            window,
            "Bar and dot: the score. Line: its 95 % interval. Number: scored tests.",
            few_note(rows, "Hollow dot"),
            hidden_note(ranked.height - rows.height, "have no score"),
        ),
        width=WIDTH,
        height=alt.Step(17),
    )
