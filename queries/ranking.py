"""The ranking of the orchestrators by their score."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, match_columns
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.grouping import SCORE_DECIMALS, mean_over_models, score_groups
from queries.scoring.scored_events import network_jobs, select_jobs
from queries.scoring.uncertainty.intervals import CENTRE_FIELDS, SQUARE_FIELDS, interval_ends
from queries.scoring.uncertainty.moments import inverse
from queries.scoring.uncertainty.ranks import RANK_FIELDS, with_rank_intervals
from queries.scoring.uncertainty.success import with_wilson_interval
from queries.scoring.warm_and_cold import TIME_COLUMNS, WARM_COLUMNS, with_round_trip_times

RANKING_COLUMNS = (
    *("rank", "orchestrator", "score", "success_rate", "round_trip_score", "events", "regions"),
    *("succeeded", "failed", "unscored"),
    *(*TIME_COLUMNS, "last_seen", "success_ci_low", "success_ci_high"),
    *("score_ci_low", "score_ci_high", *RANK_FIELDS, *WARM_COLUMNS),
)
SUGGESTED_MIN_EVENTS = 3
"""The ``min_events`` of a page that shows a ranking: a day's tests of an AI job in one region.

One or two results say next to nothing: after two successes of two, the success rate may be 0.34.
"""


@engine_agnostic
def ranking(
    events: NarwhalsFrame,
    event_filter: EventFilter = EventFilter(),
    *,
    min_events: int = 0,
    formula: Formula = FORMULA_2,
) -> NarwhalsFrame:
    """One row per orchestrator with at least ``min_events`` scored events, sorted by rank, then orchestrator.

    The score is the mean of an orchestrator's regional scores, as the public
    explorer computes its global row. The regional scores are those of
    aggregated_stats with the same filter, whose orchestrator selects rows of
    the result only. Without a pipeline all AI jobs count, except those that
    name no pipeline or no model.

    An orchestrator without scored events comes last: its ranks, scores and
    intervals are null, ``unscored`` says how often it was tested.

    Columns:

    - rank (Int64): 1 for the highest score; equal scores share the lowest rank
    - orchestrator
    - score, success_rate, round_trip_score (Float64, 0..1): means over the
      regions of what aggregated_stats has for each
    - events, regions (Int64): the number of scored events, and of regions with a score
    - succeeded, failed (Int64): scored events with a success_rate of 1 or more, and the others
    - unscored (Int64): events that the formula does not score
    - p50_round_trip_time, p95_round_trip_time (Float64, seconds, by linear
      interpolation): over the jobs that succeeded and took time, except live video,
      which has no time; null without any
    - last_seen (Datetime, UTC): the time of the last event
    - success_ci_low, success_ci_high (Float64, 0..1): the 95 % confidence
      interval of succeeded/events, in which a partly successful job counts as failed.
      It is Wilson's, see ``with_wilson_interval``
    - score_ci_low, score_ci_high (Float64, 0..1): the 95 % confidence interval of
      the score, see ``queries.scoring.uncertainty``
    - rank_low, rank_high (Int64): the ranks that the intervals of the scores
      allow, see ``with_rank_intervals``
    - warm_events, cold_events (Int64), warm_success_rate, cold_success_rate
      (Float64, 0..1), warm_p50_round_trip_time and so on: of AI jobs whose model
      was loaded already, and of those whose model was not; null for transcoding.
      The success rates are means over the events, not over the regions

    >>> from queries import ranking, sample_data
    >>> rows = ranking(sample_data.events())
    >>> rows.select("rank", "orchestrator", "score", "score_ci_low", "score_ci_high", "rank_low", "rank_high")
    shape: (2, 7)
    ┌──────┬──────────────┬──────────┬──────────────┬───────────────┬──────────┬───────────┐
    │ rank ┆ orchestrator ┆ score    ┆ score_ci_low ┆ score_ci_high ┆ rank_low ┆ rank_high │
    │ ---  ┆ ---          ┆ ---      ┆ ---          ┆ ---           ┆ ---      ┆ ---       │
    │ i64  ┆ str          ┆ f64      ┆ f64          ┆ f64           ┆ i64      ┆ i64       │
    ╞══════╪══════════════╪══════════╪══════════════╪═══════════════╪══════════╪═══════════╡
    │ 1    ┆ 0xaa         ┆ 0.792047 ┆ 0.218857     ┆ 0.929674      ┆ 1        ┆ 2         │
    │ 2    ┆ 0xbb         ┆ 0.31606  ┆ 0.0          ┆ 0.79051       ┆ 1        ┆ 2         │
    └──────┴──────────────┴──────────┴──────────────┴───────────────┴──────────┴───────────┘
    """
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    selected = select_jobs(network, event_filter)
    regional = score_groups(selected, network, job_type, formula, ("orchestrator", "region"), spreads=True)
    if job_type == AI:
        regional = mean_over_models(regional, spreads=True)
    rows = (
        _mean_over_regions(regional)
        .filter(nw.col("events") >= min_events)
        .with_columns(rank=nw.col("score").round(SCORE_DECIMALS).rank("min", descending=True).cast(nw.Int64()))
        .with_columns((nw.col("events") - nw.col("succeeded")).alias("failed"), *interval_ends())
    )
    rows = _with_success_interval(rows)
    rows = with_round_trip_times(rows, selected, job_type, formula, ("orchestrator",))
    rows = with_rank_intervals(rows, [name for name in RANKING_COLUMNS if name not in RANK_FIELDS], SCORE_DECIMALS)
    rows = match_columns(rows, event_filter, "orchestrator")
    return rows.select(*RANKING_COLUMNS).sort("rank", "orchestrator", nulls_last=True)


def _mean_over_regions(scores: NarwhalsFrame) -> NarwhalsFrame:
    """One row per orchestrator: the means of its regions' scores, each region counting the same."""
    means = scores.group_by("orchestrator").agg(
        nw.col(*SCORE_FIELDS, *CENTRE_FIELDS).mean(),
        nw.col(*SQUARE_FIELDS).sum(),
        nw.col("events", "succeeded", "unscored").sum().cast(nw.Int64()),
        nw.col("last_seen").max(),
        nw.col("score").count().cast(nw.Int64()).alias("regions"),
    )
    regions = nw.when(nw.col("regions") > 0).then(nw.col("regions"))
    return means.with_columns(nw.col(*SQUARE_FIELDS) * regions**-2.0)


def _with_success_interval(rows: NarwhalsFrame) -> NarwhalsFrame:
    """Adds Wilson's interval of the share of events that succeeded, null without events."""
    rows = rows.with_columns(n=nw.when(nw.col("events") > 0).then(nw.col("events")))
    share = nw.col("succeeded") * inverse(nw.col("n"))
    return with_wilson_interval(rows, share, nw.col("n"), ("success_ci_low", "success_ci_high"))
