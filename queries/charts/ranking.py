"""The ranking as a bar chart."""

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
    hidden_note,
    inline_data,
    shorten_expression,
)


def ranking(frame: IntoFrame, *, highlight: str | None = None) -> alt.LayerChart:
    """One bar per score, the best at the top, from the rows of ``ranking``.

    The dot on a bar is the share of jobs that succeeded, with its 95 % interval:
    a long line means few tests. ``highlight`` is an orchestrator whose bar gets
    another colour. Orchestrators without a score have no bar; the subtitle says
    how many there are.

    >>> from queries import charts, ranking, sample_data
    >>> charts.ranking(ranking(sample_data.events())).save("ranking.svg")
    """
    ranked = collect_rows(frame)
    rows = ranked.drop_nulls("rank").with_columns(
        place=pl.format("{} {}", "rank", "orchestrator"),
        share=pl.col("succeeded") / pl.col("events"),
        highlighted=pl.col("orchestrator") == pl.lit(highlight, pl.String).fill_null(""),
    )
    number, address = "split(datum.label, ' ')[0]", "split(datum.label, ' ')[1]"
    label = f"{number} + '   ' + ({shorten_expression(address)})"
    axis = alt.Axis(labelExpr=label, labelLimit=200, labelFont="monospace", ticks=False, domain=False, title=None)
    place = alt.Y("place:N", sort=None, axis=axis)
    tooltip = [
        *("rank:Q", "orchestrator:N", alt.Tooltip("score:Q", format=".4f"), "events:Q", "regions:Q"),
        *("succeeded:Q", "failed:Q", alt.Tooltip("p50_round_trip_time:Q", format=".3f", title="median time (s)")),
    ]
    base = alt.Chart().encode(place)
    bars = base.mark_bar(height={"band": 0.8}).encode(
        alt.X(
            "score:Q", scale=SHARE_SCALE, axis=alt.Axis(title="score; dot: share of jobs that succeeded", orient="top")
        ),
        color=alt.condition("datum.highlighted", alt.value(ACCENT), alt.value(MUTED)),
        tooltip=tooltip,
    )
    intervals = base.mark_rule(color=PRIMARY).encode(
        alt.X("success_ci_low:Q", scale=SHARE_SCALE), alt.X2("success_ci_high:Q")
    )
    shares = base.mark_circle(color=PRIMARY, size=22, opacity=1).encode(alt.X("share:Q", scale=SHARE_SCALE))
    return alt.LayerChart(layer=[bars, intervals, shares], data=inline_data(rows)).properties(
        title=chart_title(
            "Ranking",
            ranked,
            "Bar: score, the mean over regions.",
            "Dot and line: the share of all jobs that succeeded, with its 95 % interval.",
            hidden_note(ranked.height - rows.height, "have no score"),
        ),
        width=480,
        height=alt.Step(15),
    )
