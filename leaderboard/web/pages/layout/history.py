"""The courses of scores over a window, in as many steps as a small picture can show."""

from collections.abc import Collection
from datetime import timedelta

import polars as pl

import queries
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.rendering import run_query
from queries import EventWindow
from queries.times import TimeRange

STEPS = {"1h": timedelta(hours=1), "6h": timedelta(hours=6), "1d": timedelta(days=1), "7d": timedelta(days=7)}
"""The lengths of a step, as score_history takes them."""
MAX_STEPS = 60


def step_of(time_range: TimeRange) -> str:
    """The shortest step with which a window has at most MAX_STEPS, else the longest."""
    length = time_range.until - time_range.since
    return next((name for name, step in STEPS.items() if length / step <= MAX_STEPS), "7d")


def histories(window: EventWindow, state: PageState) -> dict[str, list[float | None]]:
    """The scores of every orchestrator from the first to the last step that has results, None for a step without."""
    scores = scores_by_step(window, state)
    if scores.is_empty():
        return {}
    first, last = pl.col("bucket").min(), pl.col("bucket").max()
    steps = scores.select(pl.datetime_range(first, last, step_of(state.time_range))).to_series()
    positions = {bucket: position for position, bucket in enumerate(steps)}
    courses: dict[str, list[float | None]] = {}
    for orchestrator, bucket, score, _ in scores.iter_rows():
        courses.setdefault(orchestrator, [None] * len(positions))[positions[bucket]] = score
    return courses


def scores_by_step(window: EventWindow, state: PageState, orchestrators: Collection[str] = ()) -> pl.DataFrame:
    """One row per orchestrator and step with results: orchestrator, bucket, score and events.

    The score of a step is the mean over its jobs and regions, weighted by
    results. Without ``orchestrators``, of all.
    """
    options = {
        "interval": step_of(state.time_range),
        "orchestrators": tuple(orchestrators),
        "group_columns": ("orchestrator",),
        "formula": state.formula,
    }
    history = run_query(queries.score_history, window, state.event_filter, **options).filter(pl.col("events") > 0)
    return history.group_by(pl.col("orchestrator").cast(pl.String), "bucket").agg(
        score=(pl.col("score") * pl.col("events")).sum() / pl.col("events").sum(), events=pl.col("events").sum()
    )
