"""Scores over time as lines."""

from datetime import timedelta
from typing import Literal

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import ACCENT, MAIN, SHARE, SOFT, collected, data, panels, short, shortened, titled

MOST_COLOURS = 8
"""How many orchestrators have a colour each; more are one crowd with its median."""

_KEYS = ("region", "pipeline", "model")


def history(
    frame: IntoFrame, *, field: Literal["score", "success_rate", "round_trip_score"] = "score"
) -> alt.LayerChart | alt.FacetChart:
    """Of what ``score_history`` answers: ``field`` over time (UTC), a panel for each region and model there is.

    A dot is a span that has events. Of up to MOST_COLOURS orchestrators each
    has a line of its own colour; more are drawn faintly, with their median as
    a strong line.

    >>> from queries import charts, sample_data, score_history
    >>> charts.history(score_history(sample_data.events(), interval="6h")).save("history.svg")
    """
    rows = collected(frame)
    keys = [name for name in _KEYS if name in rows.columns]
    parted = [name for name in keys if rows[name].n_unique() > 1]
    orchestrators = rows["orchestrator"].unique() if "orchestrator" in rows.columns else pl.Series([], dtype=pl.String)
    crowded = len(orchestrators) > MOST_COLOURS
    # what all rows have in common
    shared = [rows[name][0] for name in keys if rows[name].n_unique() == 1]
    shared += [shortened(orchestrators[0])] if len(orchestrators) == 1 else []
    rows = rows.with_columns(panel=pl.concat_str(parted or [pl.lit("")], separator=" · ", ignore_nulls=True))
    heading = titled(
        f"{field.replace('_', ' ').capitalize()} over time",
        rows,
        " · ".join([*filter(None, shared), "times in UTC"]),
        f"Faint: {len(orchestrators)} orchestrators. Strong: their median." if crowded else "",
    )
    value = alt.Y(f"{field}:Q", scale=SHARE, axis=alt.Axis(title=field.replace("_", " "), tickCount=5))
    moment = _moment(rows, few=bool(parted))
    layers = _crowd(moment, field, value) if crowded else _each(moment, value, orchestrators)
    chart = alt.layer(*layers)
    if not parted:
        return chart.properties(data=data(rows), title=heading, width=640, height=260)
    columns = 4 if "model" not in parted else 2
    width = 720 // columns - 20
    return (
        chart.properties(width=width, height=90)
        .facet(panels(width), columns=columns, data=data(rows), title=heading)
        .resolve_axis(x="independent")
    )


def _moment(rows: pl.DataFrame, *, few: bool) -> alt.X:
    span = rows["bucket"].max() - rows["bucket"].min() if rows.height else timedelta(0)
    form = "%d %b" if span >= timedelta(days=2) else "%d %b %H:%M"
    title, ticks = (None, 3) if few else ("time (UTC)", 8)
    axis = alt.Axis(title=title, format=form, labelOverlap=True, labelSeparation=12, tickCount=ticks)
    return alt.X("bucket:T", scale=alt.Scale(type="utc"), axis=axis)


def _each(moment: alt.X, value: alt.Y, orchestrators: pl.Series) -> list[alt.Chart]:
    line = alt.Chart().mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1.5, color=MAIN).encode(moment, value)
    if len(orchestrators) > 1:
        legend = alt.Legend(labelExpr=short("datum.label"), title="orchestrator", labelFont="monospace")
        line = line.encode(alt.Color("orchestrator:N", scale=alt.Scale(scheme="dark2"), legend=legend))
    return [line]


def _crowd(moment: alt.X, field: str, value: alt.Y) -> list[alt.Chart]:
    faint = (
        alt.Chart().mark_line(color=SOFT, strokeWidth=0.7, opacity=0.4).encode(moment, value, detail="orchestrator:N")
    )
    middle = (
        alt.Chart()
        .transform_aggregate(middle=f"median({field})", groupby=["bucket", "panel"])
        .mark_line(color=ACCENT, strokeWidth=2)
        .encode(moment, alt.Y("middle:Q", scale=SHARE))
    )
    return [faint, middle]
