"""Which orchestrators a gateway uses that demands a least score, and which it leaves out for lack of tests."""

from datetime import datetime

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.grouping import SCORE_DECIMALS, mean_over_models, score_groups
from queries.scoring.scored_events import network_jobs, select_jobs

PASSES, TOO_LOW, FEW_EVENTS, ONLY_UNSCORED, NOT_TESTED = (
    *("passes", "too_low", "few_events", "only_unscored", "not_tested"),
)
DEFAULT_MIN_EVENTS = 3
"""As many results as an AI job gets from a region in a day."""
_COUNTS = ("events", "unscored")
_COLUMNS = (
    *("orchestrator", "state", "passes", "passes_week", "lacks_tests", "score", "week_score"),
    *(*_COUNTS, "week_events", "week_unscored", "last_seen"),
)


@engine_agnostic
def gateway_preview(
    events: NarwhalsFrame,
    event_filter: EventFilter,
    *,
    since: datetime,
    min_score: float,
    min_events: int = DEFAULT_MIN_EVENTS,
    formula: Formula = FORMULA_2,
) -> NarwhalsFrame:
    """One row per orchestrator that was tested, sorted by score (best first), week_score and address.

    ``events`` are those of a week, or of another long window. Those from
    ``since`` (an aware datetime) on are the short window, whose scores a
    gateway reads from aggregated_stats. The filter names the region of the gateway, and the
    pipeline and model if it asks for the scores of AI jobs. Its orchestrator
    is not used. Columns:

    - orchestrator
    - state (String): passes; too_low; few_events, if the score is too low but
      rests on fewer than ``min_events`` scored events; only_unscored;
      not_tested, in the short window
    - passes, passes_week (Boolean): whether the score is at least
      ``min_score`` in the short window, and in the week
    - lacks_tests (Boolean): left out for lack of tests alone. Its score in the
      week passes, and the state is few_events, only_unscored or not_tested
    - score, week_score (Float64, 0..1): null without scored events
    - events, unscored, week_events, week_unscored (Int64)
    - last_seen (Datetime, UTC): the time of the last event

    Raises ValueError where the filter names no region.

    >>> from datetime import UTC, datetime
    >>> from queries import EventFilter, gateway_preview, sample_data
    >>> since = datetime(2026, 9, 1, 21, tzinfo=UTC)
    >>> rows = gateway_preview(sample_data.events(), EventFilter(region="FRA"), since=since, min_score=0.7)
    >>> rows.select("orchestrator", "state", "lacks_tests", "score", "week_score")
    shape: (2, 5)
    ┌──────────────┬────────────┬─────────────┬──────────┬────────────┐
    │ orchestrator ┆ state      ┆ lacks_tests ┆ score    ┆ week_score │
    │ ---          ┆ ---        ┆ ---         ┆ ---      ┆ ---        │
    │ str          ┆ str        ┆ bool        ┆ f64      ┆ f64        │
    ╞══════════════╪════════════╪═════════════╪══════════╪════════════╡
    │ 0xbb         ┆ few_events ┆ false       ┆ 0.632121 ┆ 0.632121   │
    │ 0xaa         ┆ not_tested ┆ true        ┆ null     ┆ 0.719428   │
    └──────────────┴────────────┴─────────────┴──────────┴────────────┘
    """
    if event_filter.region is None:
        raise ValueError("event_filter must name the region of the gateway, which reads the scores of one")
    week = _scores(events, event_filter, formula)
    short = _scores(events.filter(nw.col("event_time") >= since), event_filter, formula)
    names = {name: f"week_{name}" for name in ("score", *_COUNTS)}
    short = short.select("orchestrator", "score", *_COUNTS)
    rows = week.rename(names).join(short, on="orchestrator", how="left")
    rows = rows.with_columns(
        nw.col(*_COUNTS).fill_null(0), passes=_passes("score", min_score), passes_week=_passes("week_score", min_score)
    )
    rows = rows.with_columns(state=_state(min_events))
    lacks_tests = nw.col("passes_week") & nw.col("state").is_in([FEW_EVENTS, ONLY_UNSCORED, NOT_TESTED])
    scores = {name: nw.col(name).round(SCORE_DECIMALS) for name in ("score", "week_score")}
    return (
        rows.with_columns(lacks_tests=lacks_tests, rounded=scores["score"], rounded_week=scores["week_score"])
        .sort("rounded", "rounded_week", "orchestrator", descending=[True, True, False], nulls_last=True)
        .select(*_COLUMNS)
    )


def _scores(events: NarwhalsFrame, event_filter: EventFilter, formula: Formula) -> NarwhalsFrame:
    """The scores of aggregated_stats in the filter's region, with their counts; null without scored events."""
    network = network_jobs(events, event_filter, formula)
    jobs = select_jobs(network, event_filter)
    scores = score_groups(jobs, network, event_filter.job_type, formula, ("orchestrator", "region"))
    return mean_over_models(scores) if event_filter.job_type == AI else scores


def _passes(score: str, min_score: float) -> nw.Expr:
    return (nw.col(score) >= min_score).fill_null(value=False)


def _state(min_events: int) -> nw.Expr:
    return (
        nw.when(nw.col("passes"))
        .then(nw.lit(PASSES))
        .when((nw.col("events") == 0) & (nw.col("unscored") == 0))
        .then(nw.lit(NOT_TESTED))
        .when(nw.col("events") == 0)
        .then(nw.lit(ONLY_UNSCORED))
        .when(nw.col("events") < min_events)
        .then(nw.lit(FEW_EVENTS))
        .otherwise(nw.lit(TOO_LOW))
    )
