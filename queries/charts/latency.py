"""Success against latency as a scatter chart."""

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import (
    ACCENT,
    MUTED,
    SCORE_SCALE,
    chart_title,
    collect_rows,
    hidden_note,
    inline_data,
    shorten_expression,
)


def success_against_latency(frame: IntoFrame, *, highlight: str | None = None) -> alt.LayerChart:
    """One dot per orchestrator, fast ones on the left, reliable ones at the top, from the rows of ``ranking``.

    x is the median round trip time of the successful jobs (seconds, log scale),
    y the share of jobs that succeeded, with its 95 % interval. The colour shows
    the score, the size the number of events. ``highlight`` is an orchestrator to
    ring and name. Orchestrators without a successful job have no round trip time,
    and neither has live video; the subtitle says how many are missing.

    >>> from queries import charts, ranking, sample_data
    >>> charts.success_against_latency(ranking(sample_data.events())).save("latency.svg")
    """
    ranked = collect_rows(frame)
    rows = ranked.filter(pl.col("p50_round_trip_time").is_not_null()).with_columns(
        share=pl.col("succeeded") / pl.col("events")
    )
    hidden = ranked.height - rows.height
    seconds = alt.X(
        "p50_round_trip_time:Q",
        scale=alt.Scale(type="log", nice=False, padding=15),
        axis=alt.Axis(title="median round trip time of successful jobs (s)", format="~g", labelOverlap=True),
    )
    upwards = alt.Scale(zero=False, nice=True)
    share = alt.Y("share:Q", scale=upwards, axis=alt.Axis(title="share of jobs that succeeded", format="%"))
    base = alt.Chart().encode(seconds)
    intervals = base.mark_rule(color=MUTED, opacity=0.6).encode(
        alt.Y("success_ci_low:Q", scale=upwards), alt.Y2("success_ci_high:Q")
    )
    dots = base.mark_circle(opacity=0.9, stroke="white", strokeWidth=0.5).encode(
        share,
        alt.Color("score:Q", scale=SCORE_SCALE, legend=alt.Legend(title="score")),
        alt.Size("events:Q", scale=alt.Scale(range=[10, 90]), legend=alt.Legend(title="events", tickCount=3)),
        tooltip=["rank:Q", "orchestrator:N", alt.Tooltip("score:Q", format=".4f"), "events:Q"],
    )
    named = base.transform_filter(alt.FieldEqualPredicate(field="orchestrator", equal=highlight or ""))
    ring = named.mark_point(color=ACCENT, size=200, strokeWidth=2).encode(share)
    name = (
        named.transform_calculate(name=shorten_expression("datum.orchestrator"))
        .mark_text(color=ACCENT, dy=-15, fontWeight="bold")
        .encode(share, text="name:N")
    )
    return alt.LayerChart(layer=[intervals, dots, ring, name], data=inline_data(rows)).properties(
        title=chart_title(
            "Success against latency",
            ranked,
            "Line: the 95 % interval of the share.",
            hidden_note(hidden, "have no successful job with a round trip time"),
        ),
        width=560,
        height=360,
    )
