"""Who is the best?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas
from queries.scoring.grouping import SCORE_FIELDS, scorable, score_groups

NORMAL_QUANTILE = 1.959963984540054
"""Of the standard normal distribution at 0.975: 95 % lie within as many deviations of the mean."""
SCORE_DECIMALS = 12
"""Scores that are equal in as many decimals are equal: means differ in their last bits between computations."""
RANKING_COLUMNS = (
    *("rank", "orchestrator", "score", "success_rate", "round_trip_score", "events", "regions", "succeeded", "failed"),
    *("p50_round_trip_time", "p95_round_trip_time", "last_seen", "success_ci_low", "success_ci_high"),
)


def ranking(events: IntoFrameT, event_filter: EventFilter = EventFilter(), *, min_events: int = 0) -> IntoFrameT:
    """One row per orchestrator with at least ``min_events`` events, sorted by rank, then orchestrator.

    The query's region, pipeline and model choose the events, its orchestrator
    the rows of the answer only. AI jobs that several models did, where the
    query names no model, are scored each against its own model's median; a
    region's scores are then the means of its models', weighted by their
    events. Without a pipeline these are all AI jobs; those that name no
    pipeline or no model are left out.

    Columns: rank (Int64, 1 for the highest score, equal scores share the
    lowest), orchestrator, score, success_rate, round_trip_score (Float64,
    0..1, the means over the regions of what aggregated_stats has for each, as
    the public explorer computes its global row), events, regions, succeeded,
    failed (Int64: how many events, in how many regions, how many with a
    success_rate of 1 or more, and the rest), p50_round_trip_time and
    p95_round_trip_time (Float64, seconds, by linear interpolation, over the
    jobs that succeeded and took time; null where none did), last_seen
    (Datetime, UTC), success_ci_low and success_ci_high (Float64, 0..1).

    The last two are the 95 % interval of the share of events that succeeded,
    by E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22 (1927): with n events, p = succeeded/n and
    z = NORMAL_QUANTILE, (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). A
    job that succeeded in part counts there as failed.

    >>> from queries import sample_data, ranking
    >>> ranked = ranking(sample_data.events())
    >>> ranked.select("rank", "orchestrator", "score", "events", "succeeded", "success_ci_low", "success_ci_high")
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
    chosen = scorable(
        apply_filter(nw.from_native(events), event_filter, "region", "pipeline", "model"), event_filter.job_type
    )
    counts = nw.col("events", "succeeded").sum().cast(nw.Int64())
    last_seen = nw.col("last_seen").max()
    of_models = score_groups(chosen, chosen, event_filter.job_type, ("orchestrator", "region"))
    if event_filter.job_type == AI and event_filter.model is None:
        weight = nw.col("events")
        weighted = of_models.with_columns(*(nw.col(field) * weight for field in SCORE_FIELDS))
        sums = weighted.group_by("orchestrator", "region").agg(nw.col(*SCORE_FIELDS).sum(), counts, last_seen)
        of_regions = sums.with_columns(*(nw.col(field) / weight for field in SCORE_FIELDS))
    else:
        of_regions = of_models
    overall = of_regions.group_by("orchestrator").agg(
        nw.col(*SCORE_FIELDS).mean(), counts, last_seen, nw.len().cast(nw.Int64()).alias("regions")
    )
    seconds = nw.col("round_trip_time")
    times = (
        chosen.filter(formulas.successful())
        .group_by("orchestrator")
        .agg(
            seconds.median().alias("p50_round_trip_time"),
            seconds.quantile(0.95, interpolation="linear").alias("p95_round_trip_time"),
        )
    )
    ranked = (
        overall.filter(nw.col("events") >= min_events)
        .with_columns(rank=nw.col("score").round(SCORE_DECIMALS).rank("min", descending=True).cast(nw.Int64()))
        .join(times, on="orchestrator", how="left")
        .with_columns((nw.col("events") - nw.col("succeeded")).alias("failed"), *_wilson())
    )
    if event_filter.orchestrator is not None:
        ranked = ranked.filter(nw.col("orchestrator") == event_filter.orchestrator)
    return ranked.select(*RANKING_COLUMNS).sort("rank", "orchestrator").to_native()


def _wilson() -> list[nw.Expr]:
    n, z = nw.col("events"), NORMAL_QUANTILE
    p = nw.col("succeeded") / n
    middle, deviation = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n * n)).sqrt()
    ends = {"success_ci_low": middle - deviation, "success_ci_high": middle + deviation}
    return [(end / (1 + z**2 / n)).clip(0.0, 1.0).alias(name) for name, end in ends.items()]
