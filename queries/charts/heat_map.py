"""Scores by orchestrator and region as a heat map."""

from typing import Any, Literal

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import (
    IS_FEW,
    PLAIN_AXIS,
    SCORE_SCALE,
    SURFACE,
    TEXT,
    TEXT_MUTED,
    address_axis,
    chart_title,
    collect_rows,
    few_note,
    inline_data,
    shorten_expression,
)
from queries.filters import EventFilter
from queries.times import TimeRange


def heat_map(
    frame: IntoFrame,
    event_filter: EventFilter | None = None,
    *,
    window: TimeRange | None = None,
    field: Literal["score", "success_rate", "round_trip_score"] = "score",
) -> alt.LayerChart:
    """One row per orchestrator and one column per region, from the rows of ``aggregated_stats``.

    The colour shows ``field`` on a scale from 0 to 1. Rows and columns are sorted
    by its mean, the best at the top and on the left. No cell means that there is
    no score. If the frame has a column ``events``, the number of scored tests, a
    dot marks cells of few. The title names the jobs of ``event_filter``, and the
    subtitle the ``window``.

    >>> from queries import aggregated_stats, charts, sample_data
    >>> charts.heat_map(aggregated_stats(sample_data.events())).save("heat_map.svg")
    """
    rows = collect_rows(frame)
    name = field.replace("_", " ")
    order = {
        key: rows.group_by(key).agg(pl.col(field).mean()).sort(field, key, descending=[True, False])[key].to_list()
        for key in ("orchestrator", "region")
    }
    addresses = alt.Axis(**address_axis(shorten_expression("datum.label")))
    regions = alt.Axis(orient="top", labelAngle=-60, labelOverlap=False, **PLAIN_AXIS)
    counts = [alt.Tooltip("events:Q", format=",", title="scored tests")] if "events" in rows.columns else []
    hover: list[Any] = ["orchestrator:N", "region:N", alt.Tooltip(f"{field}:Q", format=".4f", title=name), *counts]
    base = alt.Chart().encode(
        alt.X("region:N", sort=order["region"], axis=regions),
        alt.Y("orchestrator:N", sort=order["orchestrator"], axis=addresses),
        tooltip=hover,
    )
    ticks = [0, 0.25, 0.5, 0.75, 1]
    legend = alt.Legend(title=name, orient="right", gradientLength=160, values=ticks, format=".2f")
    # the outline tells the lowest score from no score on a dark background, and the highest on a bright one
    cells = base.mark_rect(stroke=TEXT_MUTED, strokeWidth=0.5).encode(
        alt.Color(f"{field}:Q", scale=SCORE_SCALE, legend=legend)
    )
    dots = base.transform_filter(IS_FEW).mark_circle(size=22, opacity=1, color=SURFACE, stroke=TEXT, strokeWidth=1)
    heading = chart_title(
        f"{name.capitalize()} by region", rows, event_filter, window, "No cell: no score.", few_note(rows, "Dot")
    )
    return alt.LayerChart(layer=[cells, dots], data=inline_data(rows)).properties(
        title=heading, width=alt.Step(24), height=alt.Step(15)
    )
