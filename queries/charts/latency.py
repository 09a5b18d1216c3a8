"""Success against latency as a scatter chart."""

import altair as alt
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.ranking import HOVER
from queries.charts.theme import (
    ACCENT,
    IS_FEW,
    SCORE_SCALE,
    TEXT_MUTED,
    chart_title,
    collect_rows,
    few_note,
    hidden_note,
    inline_data,
    shorten_expression,
)
from queries.charts.wording import visible_text
from queries.filters import EventFilter
from queries.times import TimeRange


def success_against_latency(
    frame: IntoFrame,
    event_filter: EventFilter | None = None,
    *,
    window: TimeRange | None = None,
    highlight: str | None = None,
) -> alt.LayerChart:
    """One dot per orchestrator, fast ones on the left, reliable ones at the top, from the rows of ``ranking``.

    x is the median round trip time of the successful jobs (seconds, log scale),
    y the share of jobs that succeeded, with its 95 % interval. The colour shows
    the score, the size the number of scored tests; dots of few tests are hollow.
    ``highlight`` is an orchestrator to ring and name. Orchestrators without a
    successful job have no round trip time, and neither has live video; the
    subtitle says how many are missing. The title names the jobs of
    ``event_filter``, and the subtitle the ``window``.

    >>> from queries import charts, ranking, sample_data
    >>> charts.success_against_latency(ranking(sample_data.events())).save("latency.svg")
    """
    ranked = collect_rows(frame)
    rows = ranked.filter(pl.col("p50_round_trip_time").is_not_null()).with_columns(
        share=pl.col("succeeded") / pl.col("events")
    )
    seconds = alt.X(
        "p50_round_trip_time:Q",
        scale=alt.Scale(type="log", nice=False, padding=15),
        axis=alt.Axis(title="median round trip time of successful jobs (s)", format="~g", labelOverlap=True),
    )
    upwards = alt.Scale(zero=False, nice=True)
    share = alt.Y("share:Q", scale=upwards, axis=alt.Axis(title="share of jobs that succeeded (%)", format="%"))
    base = alt.Chart().encode(seconds)
    intervals = base.mark_rule(opacity=0.35).encode(
        alt.Y("success_ci_low:Q", scale=upwards), alt.Y2("success_ci_high:Q")
    )
    named = base.transform_filter(
        alt.FieldEqualPredicate(field="orchestrator", equal=visible_text(highlight or ""))
    ).encode(share)
    ring = named.mark_point(color=ACCENT, size=200, strokeWidth=2)
    name = (
        named.transform_calculate(name=shorten_expression("datum.orchestrator"))
        .mark_text(color=ACCENT, dy=-17, fontWeight="bold")
        .encode(text="name:N")
    )
    counts = rows["events"].sort()
    counts = counts.gather([0, counts.len() // 2, -1]).unique() if counts.len() else counts
    return alt.LayerChart(
        layer=[intervals, *_dots(base, share, counts.to_list()), ring, name], data=inline_data(rows)
    ).properties(
        title=chart_title(
            "Success against latency",
            ranked,
            event_filter,
            window,
            "Line: the 95 % interval of the share.",
            few_note(rows, "Hollow dot"),
            hidden_note(ranked.height - rows.height, "have no successful job with a round trip time"),
        ),
        width=560,
        height=360,
    )


def _dots(base: alt.Chart, share: alt.Y, counts: list[int]) -> tuple[alt.Chart, alt.Chart]:
    """The dots with an outline, as bright ones would vanish on a bright background, and the hollow ones.

    The legend shows the sizes of these ``counts`` of tests.
    """
    legend = alt.Legend(
        title="score", type="gradient", gradientLength=120, values=[0, 0.25, 0.5, 0.75, 1], format=".2f"
    )
    sizes = alt.Legend(title="scored tests", values=counts, symbolFillColor=TEXT_MUTED, symbolStrokeWidth=0)
    size = alt.Size("events:Q", scale=alt.Scale(range=[12, 90], zero=True), legend=sizes)
    encoded = base.encode(share, size, tooltip=[*HOVER])
    full = encoded.transform_filter(f"!({IS_FEW})").mark_circle(opacity=1, stroke=TEXT_MUTED, strokeWidth=0.6)
    hollow = encoded.transform_filter(IS_FEW).mark_point(opacity=1, strokeWidth=1.5, filled=False)
    return (
        full.encode(alt.Color("score:Q", scale=SCORE_SCALE, legend=legend)),
        hollow.encode(alt.Stroke("score:Q", scale=SCORE_SCALE, legend=None)),
    )
