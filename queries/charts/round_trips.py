"""How round trip times are distributed, as histograms."""

import altair as alt
import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import ACCENT, MAIN, SOFT, collected, data, panels, shortened, titled
from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas
from queries.scoring.grouping import scorable

BINS = 12
"""Bars for each factor of ten."""
PANEL = 320
"""Pixels across."""
NETWORK = "network"


def round_trip_times(events: IntoFrame, event_filter: EventFilter = EventFilter()) -> alt.LayerChart | alt.FacetChart:
    """Of events: how long the successful jobs took (seconds, by orders of magnitude), with the median marked.

    The query's region, pipeline and model choose the events; AI jobs have a
    panel for each pipeline and model, and their median is the one that they
    are scored against. With the query's orchestrator its own jobs stand before
    those of the network, each as a share of their number.

    >>> from queries import EventFilter, charts, sample_data
    >>> charts.round_trip_times(sample_data.events(), EventFilter(orchestrator="0xaa")).save("round_trip_times.svg")
    """
    chosen = scorable(
        apply_filter(nw.from_native(events), event_filter, "region", "pipeline", "model"), event_filter.job_type
    )
    jobs = chosen.filter(formulas.successful()).select("orchestrator", "pipeline", "model", "round_trip_time")
    rows = _series(collected(jobs.to_native()), event_filter)
    own = [shortened(event_filter.orchestrator)] if event_filter.orchestrator else []
    colours = alt.Color(
        "of:N",
        scale=alt.Scale(domain=[NETWORK, *own], range=[SOFT, ACCENT]),
        legend=alt.Legend(title=None, orient="top") if own else None,
    )
    seconds = alt.Scale(type="log", nice=False)
    axis = alt.Axis(title="round trip time (s)", format="~g", labelOverlap=True, grid=False, tickCount=5)
    bars = (
        alt.Chart()
        .transform_filter("isValid(datum.share)")
        .mark_bar(opacity=0.7)
        .encode(
            alt.X("from:Q", scale=seconds, axis=axis),
            alt.X2("to:Q"),
            alt.Y("share:Q", stack=None, axis=alt.Axis(title="share of jobs", format="%", tickCount=4)),
            alt.Y2Datum(0),
            colours,
        )
    )
    at_median = alt.X("median:Q", scale=seconds)
    shade = alt.condition(f"datum.of == '{NETWORK}'", alt.value(MAIN), alt.value(ACCENT))
    medians = alt.Chart().transform_filter("isValid(datum.median)").encode(at_median, color=shade)
    # above the bars, on that side of its line where no other median is
    texts = [
        medians.transform_filter(f"datum.side == '{side}'")
        .mark_text(align=side, dx=dx, dy=-4, baseline="bottom", fontWeight="bold")
        .encode(y=alt.value(0), text="label:N")
        for side, dx in (("left", 2), ("right", -4))
    ]
    marks = medians.mark_rule(strokeDash=[4, 3], strokeWidth=1.5)
    chart = alt.layer(bars, marks, *texts)
    heading = titled("Round trip times of successful jobs", rows, "Dashed: the median.")
    if event_filter.job_type != AI or rows.is_empty():
        return chart.properties(data=data(rows), title=heading, width=640, height=260)
    return (
        chart.properties(width=PANEL, height=120)
        .facet(panels(PANEL, padding=18), columns=2, data=data(rows), title=heading)
        .resolve_scale(x="independent", y="independent")
    )


def _series(jobs: pl.DataFrame, event_filter: EventFilter) -> pl.DataFrame:
    """Of each panel and ``of`` whom: a row for each bar (from, to in seconds; share) and one for the median."""
    bar = (pl.col("round_trip_time").log10() * BINS).floor()
    jobs = jobs.with_columns(
        panel=pl.concat_str("pipeline", "model", separator=" · ", ignore_nulls=True), bar=bar, of=pl.lit(NETWORK)
    )
    if event_filter.orchestrator:
        own = jobs.filter(pl.col("orchestrator") == event_filter.orchestrator)
        jobs = pl.concat([jobs, own.with_columns(of=pl.lit(shortened(event_filter.orchestrator)))])
    bars = jobs.group_by("panel", "of", "bar").agg(count=pl.len())
    ends = {"from": 10 ** (pl.col("bar") / BINS), "to": 10 ** ((pl.col("bar") + 1) / BINS)}
    bars = bars.select("panel", "of", share=pl.col("count") / pl.col("count").sum().over("panel", "of"), **ends)
    medians = jobs.group_by("panel", "of").agg(median=pl.col("round_trip_time").median())
    later = pl.col("median").rank("ordinal").over("panel") == pl.len().over("panel")
    marked = medians.with_columns(
        label=pl.format("median {} s", pl.col("median").round_sig_figs(3)),
        side=pl.when(later).then(pl.lit("left")).otherwise(pl.lit("right")),
    )
    return pl.concat([bars, marked], how="diagonal").sort("panel", "of", "from")
