"""The scores of an orchestrator over a window, beside the network's."""

from dataclasses import replace
from typing import Any

import polars as pl
from markupsafe import Markup

import queries
from leaderboard.web.pages.drawing.chart import REFERENCE, Band, Series, history_chart
from leaderboard.web.pages.layout.history import STEPS, step_of
from leaderboard.web.pages.layout.state import PageState
from queries import EventFilter, EventWindow

BAR_DAYS = 90
_KINDS = {"failures": "most orchestrators failed", "slowness": "most were slow", "silence": "the tester was silent"}


def score_chart(window: EventWindow, state: PageState, event_filter: EventFilter, incidents: pl.DataFrame) -> Markup:
    """The orchestrator's scores over the window beside the median of the network, with incidents shaded."""
    step = step_of(state.time_range)
    history = window.collect(
        lambda events: queries.score_history(
            events,
            replace(event_filter, orchestrator=None),
            interval=step,
            group_columns=("orchestrator",),
            formula=state.formula,
        )
    )
    weighted = (pl.col("score") * pl.col("events")).sum() / pl.col("events").sum()
    scores = history.filter(pl.col("score").is_not_null()).group_by("orchestrator", "bucket")
    points = scores.agg(weighted.alias("score"), pl.col("events").sum())
    own = points.filter(pl.col("orchestrator") == event_filter.orchestrator)
    network = points.group_by("bucket").agg(pl.col("score").median(), pl.col("events").sum())
    if event_filter.region is not None:
        incidents = incidents.filter(pl.col("region") == event_filter.region)
    return history_chart(
        "Score over the window",
        state.time_range,
        STEPS[step],
        [Series("This orchestrator", _points(own)), Series("Median of the network", _points(network), REFERENCE)],
        bands=[
            Band(row["begin"], row["end"], f"{row['region']}: {_KINDS[row['kind']]}") for row in incidents.to_dicts()
        ],
    )


def _points(rows: pl.DataFrame) -> dict[Any, tuple[float, int]]:
    return {bucket: (score, events) for bucket, score, events in rows.select("bucket", "score", "events").iter_rows()}
