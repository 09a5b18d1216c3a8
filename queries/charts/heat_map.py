"""Scores by orchestrator and region as colours."""

from typing import Literal

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import SCORE, collected, data, short, titled


def heat_map(frame: IntoFrame, *, field: Literal["score", "success_rate", "round_trip_score"] = "score") -> alt.Chart:
    """Of what ``aggregated_stats`` answers: a row for each orchestrator, a column for each region.

    The colour is ``field``, from 0 to 1 always. Rows and columns are sorted by
    its mean, the best on top and to the left; where there was no test it is
    white.

    >>> from queries import aggregated_stats, charts, sample_data
    >>> charts.heat_map(aggregated_stats(sample_data.events())).save("heat_map.svg")
    """
    rows = collected(frame)
    name = field.replace("_", " ")
    best = {
        key: rows.group_by(key).agg(pl.col(field).mean()).sort(field, key, descending=[True, False])[key].to_list()
        for key in ("orchestrator", "region")
    }
    plain = {"ticks": False, "domain": False, "title": None}
    return (
        alt.Chart(data(rows))
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            alt.X(
                "region:N",
                sort=best["region"],
                axis=alt.Axis(orient="top", labelAngle=-60, labelOverlap=False, **plain),
            ),
            alt.Y(
                "orchestrator:N",
                sort=best["orchestrator"],
                axis=alt.Axis(labelExpr=short("datum.label"), labelFont="monospace", labelLimit=200, **plain),
            ),
            alt.Color(
                f"{field}:Q",
                scale=SCORE,
                legend=alt.Legend(
                    title=name, orient="right", gradientLength=160, values=[0, 0.25, 0.5, 0.75, 1], format=".2f"
                ),
            ),
            tooltip=["orchestrator:N", "region:N", alt.Tooltip(f"{field}:Q", format=".4f", title=name)],
        )
        .properties(
            title=titled(f"{name.capitalize()} by region", rows, "White: not tested there."),
            width=alt.Step(24),
            height=alt.Step(14),
        )
    )
