"""Errors as a bar chart."""

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import PLAIN_AXIS, SERIES, chart_title, collect_rows, inline_data
from queries.charts.wording import shorten_address
from queries.times import TimeRange


def errors(frame: IntoFrame, *, orchestrator: str | None = None, window: TimeRange | None = None) -> alt.LayerChart:
    """How often each error happened, the most frequent on top, from the rows of ``orchestrator_errors``.

    Counts of all regions and models are added up. Each job type has its colour.
    The title names the ``orchestrator``, and the subtitle the ``window``.

    >>> from queries import EventFilter, charts, sample_data, orchestrator_errors
    >>> found = orchestrator_errors(sample_data.results(), EventFilter(orchestrator="0xbb"))
    >>> charts.errors(found, orchestrator="0xbb").save("errors.svg")
    """
    rows = (
        collect_rows(frame)
        .group_by("job_type", "error_code")
        .agg(pl.col("count").sum(), pl.col("results").sum())
        .sort("count", "error_code", "job_type", descending=[True, False, False])
        .with_columns(
            job=pl.col("job_type").replace("ai", "AI"),
            row=pl.format("{} {}", "job_type", "error_code"),
        )
    )
    code = "slice(datum.label, indexof(datum.label, ' ') + 1)"
    axis = alt.Axis(labelExpr=f"{code} || 'no code'", labelLimit=240, **PLAIN_AXIS)
    hover = [
        alt.Tooltip("error_code:N", title="error"),
        alt.Tooltip("job:N", title="job type"),
        alt.Tooltip("count:Q", format=",", title="times"),
        alt.Tooltip("results:Q", format=",", title="in tests"),
    ]
    base = alt.Chart().encode(
        alt.X("count:Q", axis=alt.Axis(title="number of errors", tickMinStep=1, tickCount=5)),
        alt.Y("row:N", sort=None, axis=axis),
        tooltip=hover,
    )
    scale = alt.Scale(domain=["transcoding", "AI"], range=[*SERIES[:2]])
    bars = base.mark_bar().encode(alt.Color("job:N", scale=scale, legend=alt.Legend(title=None, orient="top")))
    counts = base.mark_text(align="left", dx=4).encode(text=alt.Text("count:Q", format=","))
    title = f"Errors · {shorten_address(orchestrator)}" if orchestrator else "Errors"
    return alt.LayerChart(layer=[bars, counts], data=inline_data(rows)).properties(
        title=chart_title(title, rows, None, window, what="errors"), width=480, height=alt.Step(18)
    )
