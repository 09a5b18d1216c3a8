"""Scores by orchestrator and region as a heat map."""

from typing import Any, Literal

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import SCORE_SCALE, chart_title, collect_rows, inline_data, shorten_expression


def heat_map(frame: IntoFrame, *, field: Literal["score", "success_rate", "round_trip_score"] = "score") -> alt.Chart:
    """One row per orchestrator and one column per region, from the rows of ``aggregated_stats``.

    The colour shows ``field`` on a scale from 0 to 1. Rows and columns are sorted
    by its mean, the best at the top and on the left. White means that there is no score.

    >>> from queries import aggregated_stats, charts, sample_data
    >>> charts.heat_map(aggregated_stats(sample_data.events())).save("heat_map.svg")
    """
    rows = collect_rows(frame)
    name = field.replace("_", " ")
    order = {
        key: rows.group_by(key).agg(pl.col(field).mean()).sort(field, key, descending=[True, False])[key].to_list()
        for key in ("orchestrator", "region")
    }
    plain: dict[str, Any] = {"ticks": False, "domain": False, "title": None}
    chart: alt.Chart = (
        alt.Chart(inline_data(rows))
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            alt.X(
                "region:N",
                sort=order["region"],
                axis=alt.Axis(orient="top", labelAngle=-60, labelOverlap=False, **plain),
            ),
            alt.Y(
                "orchestrator:N",
                sort=order["orchestrator"],
                axis=alt.Axis(
                    labelExpr=shorten_expression("datum.label"), labelFont="monospace", labelLimit=200, **plain
                ),
            ),
            alt.Color(
                f"{field}:Q",
                scale=SCORE_SCALE,
                legend=alt.Legend(
                    title=name, orient="right", gradientLength=160, values=[0, 0.25, 0.5, 0.75, 1], format=".2f"
                ),
            ),
            tooltip=["orchestrator:N", "region:N", alt.Tooltip(f"{field}:Q", format=".4f", title=name)],
        )
        .properties(
            title=chart_title(f"{name.capitalize()} by region", rows, "White: no score."),
            width=alt.Step(24),
            height=alt.Step(14),
        )
    )
    return chart
