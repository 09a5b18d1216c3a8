"""Scores over time as a line chart."""

from dataclasses import replace
from typing import Literal

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.palette import MONOSPACE_FAMILY
from queries.charts.theme import (
    ACCENT,
    IS_FEW,
    PRIMARY,
    SERIES,
    SHARE_SCALE,
    SURFACE,
    TEXT_MUTED,
    chart_title,
    collect_rows,
    few_note,
    inline_data,
    panel_facet,
    shorten_expression,
)
from queries.filters import EventFilter
from queries.times import TimeRange

MAX_COLOURS = len(SERIES)
"""Up to so many orchestrators have a colour each; more are drawn faintly, with their median."""

DAYS_WITHOUT_CLOCK = 2
"""From so many days on, the axis shows dates without the time of day."""

Field = Literal["score", "success_rate", "round_trip_score"]

_PANEL_KEYS = ("region", "pipeline", "model")


def history(
    frame: IntoFrame,
    event_filter: EventFilter | None = None,
    *,
    window: TimeRange | None = None,
    field: Field = "score",
) -> alt.LayerChart | alt.FacetChart:
    """``field`` over time (UTC), one panel per region and model, from the rows of ``score_history``.

    A dot is a bucket with a score, a hollow one has few scored tests; a line ends where a bucket has no score. Up to
    MAX_COLOURS orchestrators have a line of their own colour; more are drawn faintly, with their median as a strong
    line. The title names what all rows share and the jobs of ``event_filter``, and the subtitle the ``window``.

    >>> from queries import charts, sample_data, score_history
    >>> charts.history(score_history(sample_data.events(), interval="6h")).save("history.svg")
    """
    rows = collect_rows(frame)
    panel_keys = [name for name in _PANEL_KEYS if name in rows.columns and rows[name].n_unique() > 1]
    is_network = "orchestrator" not in rows.columns
    orchestrators = pl.Series([], dtype=pl.String) if is_network else rows["orchestrator"].unique()
    crowded = len(orchestrators) > MAX_COLOURS
    rows = rows.with_columns(panel=pl.concat_str(panel_keys or [pl.lit("")], separator=" · ", ignore_nulls=True))
    name = field.replace("_", " ")
    heading = chart_title(
        f"{name.capitalize()} over time",
        rows,
        _shared_filter(rows, event_filter),
        window,
        "All orchestrators together." if is_network else "",
        f"Faint: {len(orchestrators)} orchestrators. Strong: their median." if crowded else "",
        "" if crowded else few_note(rows.drop_nulls(field), "Hollow dot"),
    )
    value = alt.Y(f"{field}:Q", scale=SHARE_SCALE, axis=alt.Axis(title=f"{name} (0 to 1)", tickCount=5))
    time = _time_axis(rows, short=bool(panel_keys))
    layers = _faint_lines(time, field, value) if crowded else _coloured_lines(time, value, orchestrators, field)
    chart = alt.LayerChart(layer=[*layers])
    if not panel_keys:
        return chart.properties(data=inline_data(rows), title=heading, width=640, height=260)
    columns = 4 if "model" not in panel_keys else 2
    width = 720 // columns - 20
    faceted: alt.FacetChart = (
        chart.properties(width=width, height=90)
        .facet(panel_facet(width), columns=columns, data=inline_data(rows), title=heading)
        .resolve_axis(x="independent")
    )
    return faceted


def _shared_filter(rows: pl.DataFrame, event_filter: EventFilter | None) -> EventFilter | None:
    """The filter with the values that all rows share, too."""
    if rows.is_empty():
        return event_filter
    names = ("job_type", "orchestrator", *_PANEL_KEYS)
    shared = {name: rows[name][0] for name in names if name in rows.columns and rows[name].n_unique() == 1}
    return replace(event_filter or EventFilter(), **shared)


def _time_axis(rows: pl.DataFrame, *, short: bool) -> alt.X:
    days = rows.select((pl.col("bucket").max() - pl.col("bucket").min()).dt.total_days()).item() or 0
    time_format = "%d %b" if days >= DAYS_WITHOUT_CLOCK else "%d %b %H:%M"
    title, ticks = (None, 3) if short else ("time (UTC)", 8)
    axis = alt.Axis(title=title, format=time_format, labelOverlap=True, labelSeparation=12, tickCount=ticks)
    return alt.X("bucket:T", scale=alt.Scale(type="utc"), axis=axis)


def _hover(field: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("bucket:T", title="from (UTC)", format="%Y-%m-%d %H:%M"),
        alt.Tooltip(f"{field}:Q", format=".4f", title=field.replace("_", " ")),
        alt.Tooltip("events:Q", format=",", title="scored tests"),
    ]


def _coloured_lines(time: alt.X, value: alt.Y, orchestrators: pl.Series, field: str) -> list[alt.Chart]:
    base = alt.Chart().encode(time, value)
    if len(orchestrators) > 1:
        labels = shorten_expression("datum.label")
        legend = alt.Legend(labelExpr=labels, title="orchestrator", labelFont=MONOSPACE_FAMILY)
        base = base.encode(alt.Color("orchestrator:N", scale=alt.Scale(range=[*SERIES]), legend=legend))
    line = base.mark_line(strokeWidth=1.5, color=PRIMARY)
    dots = base.transform_filter(f"isValid(datum.{field})").encode(tooltip=_hover(field))
    full = dots.transform_filter(f"!({IS_FEW})").mark_circle(size=18, opacity=1, color=PRIMARY)
    hollow = dots.transform_filter(IS_FEW).mark_point(size=18, opacity=1, color=PRIMARY, fill=SURFACE, strokeWidth=1)
    return [line, full, hollow]


def _faint_lines(time: alt.X, field: str, value: alt.Y) -> list[alt.Chart]:
    faint = (
        alt.Chart()
        .mark_line(color=TEXT_MUTED, strokeWidth=0.7, opacity=0.3)
        .encode(time, value, detail="orchestrator:N")
    )
    middle = (
        alt.Chart()
        .transform_aggregate(middle=f"median({field})", events="sum(events)", groupby=["bucket", "panel"])
        .mark_line(color=ACCENT, strokeWidth=2)
        .encode(time, alt.Y("middle:Q", scale=SHARE_SCALE), tooltip=_hover("middle"))
    )
    return [faint, middle]
