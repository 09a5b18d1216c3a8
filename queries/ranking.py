"""The ranking of the orchestrators by their score."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, match_columns
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.grouping import SCORE_DECIMALS, mean_over_models, score_groups
from queries.scoring.scored_events import network_jobs, select_jobs
from queries.scoring.warm_and_cold import TIME_COLUMNS, WARM_COLUMNS, with_round_trip_times

Z_95 = 1.959963984540054
"""The quantile of the standard normal distribution at 0.975: 95 % lie within so many deviations of the mean."""
RANKING_COLUMNS = (
    *("rank", "orchestrator", "score", "success_rate", "round_trip_score", "events", "regions"),
    *("succeeded", "failed", "unscored"),
    *(*TIME_COLUMNS, "last_seen", "success_ci_low", "success_ci_high", *WARM_COLUMNS),
)


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

    An orchestrator without scored events comes last: its rank, scores and
    interval are null, ``unscored`` says how often it was tested.

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
      interval of succeeded/events, in which a partly successful job counts as failed
    - warm_events, cold_events (Int64), warm_success_rate, cold_success_rate
      (Float64, 0..1), warm_p50_round_trip_time and so on: of AI jobs whose model
      was loaded already, and of those whose model was not; null for transcoding.
      The success rates are means over the events, not over the regions

    The interval is Wilson's (E. B. Wilson, "Probable inference, the law of
    succession, and statistical inference", JASA 22, 1927): with n events,
    p = succeeded/n and z = Z_95, (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).

    >>> from queries import ranking, sample_data
    >>> rows = ranking(sample_data.events())
    >>> rows.select("rank", "orchestrator", "score", "events", "succeeded", "success_ci_low", "success_ci_high")
    shape: (2, 7)
    ┌──────┬──────────────┬──────────┬────────┬───────────┬────────────────┬─────────────────┐
    │ rank ┆ orchestrator ┆ score    ┆ events ┆ succeeded ┆ success_ci_low ┆ success_ci_high │
    │ ---  ┆ ---          ┆ ---      ┆ ---    ┆ ---       ┆ ---            ┆ ---             │
    │ i64  ┆ str          ┆ f64      ┆ i64    ┆ i64       ┆ f64            ┆ f64             │
    ╞══════╪══════════════╪══════════╪════════╪═══════════╪════════════════╪═════════════════╡
    │ 1    ┆ 0xaa         ┆ 0.792047 ┆ 3      ┆ 2         ┆ 0.20766        ┆ 0.938508        │
    │ 2    ┆ 0xbb         ┆ 0.31606  ┆ 2      ┆ 1         ┆ 0.094531       ┆ 0.905469        │
    └──────┴──────────────┴──────────┴────────┴───────────┴────────────────┴─────────────────┘
    """
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    selected = select_jobs(network, event_filter)
    regional = score_groups(selected, network, job_type, formula, ("orchestrator", "region"))
    if job_type == AI:
        regional = mean_over_models(regional)
    rows = (
        _mean_over_regions(regional)
        .filter(nw.col("events") >= min_events)
        .with_columns(rank=nw.col("score").round(SCORE_DECIMALS).rank("min", descending=True).cast(nw.Int64()))
        .with_columns((nw.col("events") - nw.col("succeeded")).alias("failed"), *_success_interval())
    )
    rows = with_round_trip_times(rows, selected, job_type, formula, ("orchestrator",))
    rows = match_columns(rows, event_filter, "orchestrator")
    return rows.select(*RANKING_COLUMNS).sort("rank", "orchestrator", nulls_last=True)


def _mean_over_regions(scores: NarwhalsFrame) -> NarwhalsFrame:
    """One row per orchestrator: the means of its regions' scores, each region counting the same."""
    return scores.group_by("orchestrator").agg(
        nw.col(*SCORE_FIELDS).mean(),
        nw.col("events", "succeeded", "unscored").sum().cast(nw.Int64()),
        nw.col("last_seen").max(),
        nw.col("score").count().cast(nw.Int64()).alias("regions"),
    )


def _success_interval() -> list[nw.Expr]:
    """Wilson's interval of the share of events that succeeded, null without events."""
    n, z = nw.when(nw.col("events") > 0).then(nw.col("events")), Z_95
    p = nw.col("succeeded") / n
    middle, deviation = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n * n)).sqrt()
    bounds = {"success_ci_low": middle - deviation, "success_ci_high": middle + deviation}
    return [(bound / (1 + z**2 / n)).clip(0.0, 1.0).alias(name) for name, bound in bounds.items()]
