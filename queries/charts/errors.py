"""Errors as a bar chart."""

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import PRIMARY, chart_title, collect_rows, inline_data


def errors(frame: IntoFrame) -> alt.LayerChart:
    """How often each error happened, the most frequent on top, from the rows of ``orchestrator_errors``.

    Counts of all regions and models are added up. Each job type has its colour.

    >>> from queries import EventFilter, charts, sample_data, orchestrator_errors
    >>> found = orchestrator_errors(sample_data.results(), EventFilter(orchestrator="0xbb"))
    >>> charts.errors(found).save("errors.svg")
    """
    rows = (
        collect_rows(frame)
        .group_by("job_type", "error_code")
        .agg(pl.col("count").sum())
        .sort("count", "error_code", "job_type", descending=[True, False, False])
        .with_columns(row=pl.format("{} {}", "job_type", "error_code"))
    )
    code = "slice(datum.label, indexof(datum.label, ' ') + 1)"
    axis = alt.Axis(labelExpr=f"{code} || 'no code'", labelLimit=240, ticks=False, domain=False, title=None)
    base = alt.Chart().encode(
        alt.X("count:Q", axis=alt.Axis(title="count", tickMinStep=1, tickCount=5)),
        alt.Y("row:N", sort=None, axis=axis),
    )
    scale = alt.Scale(domain=["transcoding", "ai"], range=[PRIMARY, "#e8a33d"])
    bars = base.mark_bar().encode(alt.Color("job_type:N", scale=scale, legend=alt.Legend(title=None, orient="top")))
    counts = base.mark_text(align="left", dx=4, color="#444").encode(text=alt.Text("count:Q", format=","))
    return alt.LayerChart(layer=[bars, counts], data=inline_data(rows)).properties(
        title=chart_title("Errors", rows), width=480, height=alt.Step(18)
    )
