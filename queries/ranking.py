"""The ranking of the orchestrators by their score."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas
from queries.scoring.grouping import SCORE_DECIMALS, SCORE_FIELDS, scorable, score_groups

Z_95 = 1.959963984540054
"""The quantile of the standard normal distribution at 0.975: 95 % lie within so many deviations of the mean."""
RANKING_COLUMNS = (
    *("rank", "orchestrator", "score", "success_rate", "round_trip_score", "events", "regions", "succeeded", "failed"),
    *("p50_round_trip_time", "p95_round_trip_time", "last_seen", "success_ci_low", "success_ci_high"),
)


@engine_agnostic
def ranking(events: NarwhalsFrame, event_filter: EventFilter = EventFilter(), *, min_events: int = 0) -> NarwhalsFrame:
    """One row per orchestrator with at least ``min_events`` events, sorted by rank, then orchestrator.

    The score is the mean of an orchestrator's regional scores, as the public
    explorer computes its global row. The filter's region, pipeline and model
    select the events, its orchestrator selects rows of the result only. Where
    the filter names no model, each AI job is scored against the median of its
    own model; a region's score is then the mean of its models' scores, weighted
    by their events. Without a pipeline all AI jobs count, except those that
    name no pipeline or no model.

    Columns:

    - rank (Int64): 1 for the highest score; equal scores share the lowest rank
    - orchestrator
    - score, success_rate, round_trip_score (Float64, 0..1): means over the
      regions of what aggregated_stats has for each
    - events, regions (Int64): the number of events, and of regions with events
    - succeeded, failed (Int64): events with a success_rate of 1 or more, and the others
    - p50_round_trip_time, p95_round_trip_time (Float64, seconds, by linear
      interpolation): over the jobs that succeeded and took time; null without any
    - last_seen (Datetime, UTC): the time of the last event
    - success_ci_low, success_ci_high (Float64, 0..1): the 95 % confidence
      interval of succeeded/events, in which a partly successful job counts as failed

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
    selected = scorable(apply_filter(events, event_filter, "region", "pipeline", "model"), job_type)
    regional = score_groups(selected, selected, job_type, ("orchestrator", "region"))
    if job_type == AI and event_filter.model is None:
        regional = _mean_over_models(regional)
    rows = (
        _mean_over_regions(regional)
        .filter(nw.col("events") >= min_events)
        .with_columns(rank=nw.col("score").round(SCORE_DECIMALS).rank("min", descending=True).cast(nw.Int64()))
        .join(_round_trip_times(selected), on="orchestrator", how="left")
        .with_columns((nw.col("events") - nw.col("succeeded")).alias("failed"), *_success_interval())
    )
    if event_filter.orchestrator is not None:
        rows = rows.filter(nw.col("orchestrator") == event_filter.orchestrator)
    return rows.select(*RANKING_COLUMNS).sort("rank", "orchestrator")


def _mean_over_models(scores: NarwhalsFrame) -> NarwhalsFrame:
    """One row per orchestrator and region: the means of its models' scores, weighted by their events."""
    weight = nw.col("events")
    weighted = scores.with_columns(*(nw.col(field) * weight for field in SCORE_FIELDS))
    sums = weighted.group_by("orchestrator", "region").agg(nw.col(*SCORE_FIELDS).sum(), *_totals())
    return sums.with_columns(*(nw.col(field) / weight for field in SCORE_FIELDS))


def _mean_over_regions(scores: NarwhalsFrame) -> NarwhalsFrame:
    """One row per orchestrator: the means of its regions' scores, each region counting the same."""
    regions = nw.len().cast(nw.Int64()).alias("regions")
    return scores.group_by("orchestrator").agg(nw.col(*SCORE_FIELDS).mean(), *_totals(), regions)


def _totals() -> list[nw.Expr]:
    return [nw.col("events", "succeeded").sum().cast(nw.Int64()), nw.col("last_seen").max()]


def _round_trip_times(events: NarwhalsFrame) -> NarwhalsFrame:
    """One row per orchestrator with a successful job: the percentiles of their round trip times."""
    seconds = nw.col("round_trip_time")
    return (
        events.filter(formulas.successful())
        .group_by("orchestrator")
        .agg(
            seconds.median().alias("p50_round_trip_time"),
            seconds.quantile(0.95, interpolation="linear").alias("p95_round_trip_time"),
        )
    )


def _success_interval() -> list[nw.Expr]:
    """Wilson's interval of the share of events that succeeded."""
    n, z = nw.col("events"), Z_95
    p = nw.col("succeeded") / n
    middle, deviation = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n * n)).sqrt()
    bounds = {"success_ci_low": middle - deviation, "success_ci_high": middle + deviation}
    return [(bound / (1 + z**2 / n)).clip(0.0, 1.0).alias(name) for name, bound in bounds.items()]
