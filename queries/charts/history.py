"""Scores over time as a line chart."""

from typing import Literal

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import (
    ACCENT,
    MUTED,
    PRIMARY,
    SHARE_SCALE,
    chart_title,
    collect_rows,
    inline_data,
    panel_facet,
    shorten_address,
    shorten_expression,
)

MAX_COLOURS = 8
"""Up to so many orchestrators have a colour each; more are drawn faintly, with their median."""

DAYS_WITHOUT_CLOCK = 2
"""From so many days on, the axis shows dates without the time of day."""

_KEYS = ("region", "pipeline", "model")


def history(
    frame: IntoFrame, *, field: Literal["score", "success_rate", "round_trip_score"] = "score"
) -> alt.LayerChart | alt.FacetChart:
    """``field`` over time (UTC), one panel per region and model, from the rows of ``score_history``.

    A dot is a bucket with a score; a line ends where a bucket has none. Up to MAX_COLOURS orchestrators have a line of
    their own colour; more are drawn faintly, with their median as a strong line.

    >>> from queries import charts, sample_data, score_history
    >>> charts.history(score_history(sample_data.events(), interval="6h")).save("history.svg")
    """
    rows = collect_rows(frame)
    keys = [name for name in _KEYS if name in rows.columns]
    panel_keys = [name for name in keys if rows[name].n_unique() > 1]
    orchestrators = rows["orchestrator"].unique() if "orchestrator" in rows.columns else pl.Series([], dtype=pl.String)
    crowded = len(orchestrators) > MAX_COLOURS
    # the title names what all rows share
    shared = [rows[name][0] for name in keys if rows[name].n_unique() == 1]
    shared += [shorten_address(orchestrators[0])] if len(orchestrators) == 1 else []
    rows = rows.with_columns(panel=pl.concat_str(panel_keys or [pl.lit("")], separator=" · ", ignore_nulls=True))
    heading = chart_title(
        f"{field.replace('_', ' ').capitalize()} over time",
        rows,
        " · ".join([*filter(None, shared), "times in UTC"]),
        f"Faint: {len(orchestrators)} orchestrators. Strong: their median." if crowded else "",
    )
    value = alt.Y(f"{field}:Q", scale=SHARE_SCALE, axis=alt.Axis(title=field.replace("_", " "), tickCount=5))
    time = _time_axis(rows, short=bool(panel_keys))
    layers = _faint_lines(time, field, value) if crowded else _coloured_lines(time, value, orchestrators)
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


def _time_axis(rows: pl.DataFrame, *, short: bool) -> alt.X:
    days = rows.select((pl.col("bucket").max() - pl.col("bucket").min()).dt.total_days()).item() or 0
    time_format = "%d %b" if days >= DAYS_WITHOUT_CLOCK else "%d %b %H:%M"
    title, ticks = (None, 3) if short else ("time (UTC)", 8)
    axis = alt.Axis(title=title, format=time_format, labelOverlap=True, labelSeparation=12, tickCount=ticks)
    return alt.X("bucket:T", scale=alt.Scale(type="utc"), axis=axis)


def _coloured_lines(time: alt.X, value: alt.Y, orchestrators: pl.Series) -> list[alt.Chart]:
    line = alt.Chart().mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1.5, color=PRIMARY).encode(time, value)
    if len(orchestrators) > 1:
        legend = alt.Legend(labelExpr=shorten_expression("datum.label"), title="orchestrator", labelFont="monospace")
        line = line.encode(alt.Color("orchestrator:N", scale=alt.Scale(scheme="dark2"), legend=legend))
    return [line]


def _faint_lines(time: alt.X, field: str, value: alt.Y) -> list[alt.Chart]:
    faint = (
        alt.Chart().mark_line(color=MUTED, strokeWidth=0.7, opacity=0.4).encode(time, value, detail="orchestrator:N")
    )
    middle = (
        alt.Chart()
        .transform_aggregate(middle=f"median({field})", groupby=["bucket", "panel"])
        .mark_line(color=ACCENT, strokeWidth=2)
        .encode(time, alt.Y("middle:Q", scale=SHARE_SCALE))
    )
    return [faint, middle]
