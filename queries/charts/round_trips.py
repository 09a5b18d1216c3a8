"""The distribution of round trip times as histograms."""

from typing import Literal

import altair as alt
import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import (
    ACCENT,
    IS_FEW,
    PRIMARY,
    PRIMARY_SOFT,
    chart_title,
    collect_rows,
    few_note,
    inline_data,
    panel_facet,
)
from queries.charts.wording import shorten_address, visible_text
from queries.filters import AI, EventFilter
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.scored_events import network_jobs, select_jobs, timed, with_spellings
from queries.times import TimeRange

BINS_PER_DECADE = 12
"""Bars per factor of ten."""
PANEL_WIDTH = 320
"""Pixels."""
NETWORK = "network"
IS_NETWORK = f"datum.of == '{NETWORK}'"
SECONDS = alt.Scale(type="log", nice=False)


def round_trip_times(
    events: IntoFrame,
    event_filter: EventFilter = EventFilter(),
    *,
    window: TimeRange | None = None,
    formula: Formula = FORMULA_2,
) -> alt.LayerChart | alt.FacetChart:
    """The round trip times of successful jobs (seconds, log scale) with their median, from a frame of events.

    The filter's region, pipeline and model select the events. AI jobs have one
    panel per pipeline and model; without a region, its median is the one that
    they are scored against. Live video has no round trip time. With an
    orchestrator in the filter, its jobs are drawn over those of the network,
    each as a share of their own number, faintly where they are few. The title
    names the jobs, and the subtitle the ``window``.

    >>> from queries import EventFilter, charts, sample_data
    >>> charts.round_trip_times(sample_data.events(), EventFilter(orchestrator="0xaa")).save("round_trip_times.svg")
    """
    network = network_jobs(nw.from_native(events), event_filter, formula)
    jobs = timed(select_jobs(network, event_filter), event_filter.job_type, formula)
    spelled = with_spellings(jobs, nw.from_native(events), event_filter, formula)
    columns = ("orchestrator", "pipeline", "model", "round_trip_time")
    rows = _histograms(collect_rows(spelled.select(*columns).to_native()), event_filter)
    heading = chart_title(
        "Round trip times of successful jobs",
        rows,
        event_filter,
        window,
        "Dashed: the median. n: the number of jobs.",
        few_note(rows, "Faint bars"),
    )
    chart = alt.LayerChart(layer=[_bars(event_filter), *_medians()])
    if event_filter.job_type != AI or rows.is_empty():
        return chart.properties(data=inline_data(rows), title=heading, width=640, height=260)
    faceted: alt.FacetChart = (
        chart.properties(width=PANEL_WIDTH, height=120)
        .facet(panel_facet(PANEL_WIDTH, padding=18), columns=2, data=inline_data(rows), title=heading)
        .resolve_scale(x="independent", y="independent")
    )
    return faceted


def _bars(event_filter: EventFilter) -> alt.Chart:
    own = [shorten_address(visible_text(event_filter.orchestrator))] if event_filter.orchestrator else []
    colours = alt.Color(
        "of:N",
        scale=alt.Scale(domain=[NETWORK, *own], range=[PRIMARY_SOFT, ACCENT]),
        legend=alt.Legend(title=None, orient="top", offset=18, symbolStrokeWidth=0) if own else None,
    )
    axis = alt.Axis(title="round trip time (s)", format="~g", labelOverlap=True, grid=False, tickCount=5)
    hover = [
        alt.Tooltip("of:N", title="jobs of"),
        *(alt.Tooltip(f"{end}:Q", format=".3~f", title=f"{end} (s)") for end in ("from", "to")),
        alt.Tooltip("share:Q", format=".1%", title="share of jobs"),
        alt.Tooltip("events:Q", format=",", title="n"),
    ]
    bars: alt.Chart = (
        alt.Chart()
        .transform_filter("isValid(datum.share)")
        .mark_bar(strokeWidth=0.7)
        .encode(
            alt.X("from:Q", scale=SECONDS, axis=axis),
            alt.X2("to:Q"),
            alt.Y("share:Q", stack=None, axis=alt.Axis(title="share of jobs (%)", format="%", tickCount=4)),
            alt.Y2Datum(0),
            colours,
            stroke=alt.condition(IS_NETWORK, alt.value(PRIMARY), alt.value(ACCENT)),
            opacity=alt.condition(IS_FEW, alt.value(0.3), alt.value(0.75)),
            tooltip=hover,
        )
    )
    return bars


def _medians() -> list[alt.Chart]:
    """A dashed line per median. The label of each stands above the bars, on the side away from the other median."""
    at_median = alt.X("median:Q", scale=SECONDS)
    colour = alt.condition(IS_NETWORK, alt.value(PRIMARY), alt.value(ACCENT))
    medians = alt.Chart().transform_filter("isValid(datum.median)").encode(at_median, color=colour)
    sides: tuple[tuple[Literal["left", "right"], int], ...] = (("left", 2), ("right", -4))
    labels = [
        medians.transform_filter(f"datum.side == '{side}'")
        .mark_text(align=side, dx=dx, dy=-4, baseline="bottom", fontWeight="bold")
        .encode(y=alt.value(0), text="label:N")
        for side, dx in sides
    ]
    return [medians.mark_rule(strokeDash=[4, 3], strokeWidth=1.5), *labels]


def _histograms(jobs: pl.DataFrame, event_filter: EventFilter) -> pl.DataFrame:
    """Rows for the bars (from, to in seconds; share) and medians, per panel and ``of``: network or orchestrator.

    Each has ``events``, the number of jobs of its panel and ``of``.
    """
    bar = (pl.col("round_trip_time").log10() * BINS_PER_DECADE).floor()
    jobs = jobs.with_columns(
        panel=pl.concat_str("pipeline", "model", separator=" · ", ignore_nulls=True), bar=bar, of=pl.lit(NETWORK)
    )
    if event_filter.orchestrator:
        address = visible_text(event_filter.orchestrator)
        own = jobs.filter(pl.col("orchestrator") == address)
        jobs = pl.concat([jobs, own.with_columns(of=pl.lit(shorten_address(address)))])
    bars = jobs.group_by("panel", "of", "bar").agg(count=pl.len())
    ends = {"from": 10 ** (pl.col("bar") / BINS_PER_DECADE), "to": 10 ** ((pl.col("bar") + 1) / BINS_PER_DECADE)}
    total = pl.col("count").sum().over("panel", "of")
    bars = bars.select("panel", "of", share=pl.col("count") / total, events=total, **ends)
    medians = jobs.group_by("panel", "of").agg(median=pl.col("round_trip_time").median(), events=pl.len())
    rightmost = pl.col("median").rank("ordinal").over("panel") == pl.len().over("panel")
    labelled = medians.with_columns(
        label=pl.format("{} s, n = {}", pl.col("median").round_sig_figs(3), "events"),
        side=pl.when(rightmost).then(pl.lit("left")).otherwise(pl.lit("right")),
    )
    # the orchestrator's bars are drawn last, over those of the network
    rows = pl.concat([bars, labelled], how="diagonal")
    return rows.sort("panel", pl.col("of") != NETWORK, "from")
