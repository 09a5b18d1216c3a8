"""How an orchestrator did over time: its scores beside the network's, and its success by day and region."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from markupsafe import Markup

import queries
from leaderboard.web.pages.drawing.chart import REFERENCE, Band, Series, history_chart
from leaderboard.web.pages.layout.history import STEPS, step_of
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.pages.orchestrator.pictures import day_bars
from queries import EventFilter, EventWindow, Formula
from queries.times import MIN_TIME, TimeRange

BAR_DAYS = 90
_KINDS = {"failures": "most orchestrators failed", "slowness": "most were slow", "silence": "the tester was silent"}


def bar_range(time_range: TimeRange) -> TimeRange:
    """The days that have a bar: BAR_DAYS up to the end of the window, or up to today."""
    until = min(time_range.until, datetime.now(UTC))
    length = timedelta(days=BAR_DAYS - 1)
    first_day = (max(until, MIN_TIME + length) - length).replace(hour=0, minute=0, second=0, microsecond=0)
    return TimeRange(first_day, until)


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


def region_bars(
    events: pl.DataFrame, days: TimeRange, event_filter: EventFilter, formula: Formula
) -> list[dict[str, Any]]:
    """One row per region: its bars of the days, and the success rate and the number of tests of all of them.

    ``events`` are the orchestrator's own, since success does not depend on others.
    """
    history = queries.score_history(events, event_filter, formula=formula).filter(pl.col("events") > 0)
    succeeded = (pl.col("success_rate") * pl.col("events")).sum() / pl.col("events").sum()
    daily = (
        history.group_by(pl.col("region").cast(pl.String), pl.col("bucket").dt.date().alias("day"))
        .agg(succeeded.alias("share"), pl.col("events").sum())
        .sort("region", "day")
    )
    axis = pl.date_range(days.since.date(), days.until.date(), eager=True).to_list()
    by_region = daily.group_by("region", maintain_order=True)
    return [_region_row(str(region), rows, axis) for (region,), rows in by_region]


def _region_row(region: str, rows: pl.DataFrame, axis: list[date]) -> dict[str, Any]:
    shares = {day: (share, events) for day, share, events in rows.select("day", "share", "events").iter_rows()}
    events = sum(events for _, events in shares.values())
    return {
        "region": region,
        "bars": day_bars(f"Success in {region}", axis, shares),
        "days": len(shares),
        "events": events,
        "success_rate": sum(share * events for share, events in shares.values()) / events,
    }


def _points(rows: pl.DataFrame) -> dict[Any, tuple[float, int]]:
    return {bucket: (score, events) for bucket, score, events in rows.select("bucket", "score", "events").iter_rows()}
