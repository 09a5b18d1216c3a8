"""How much was tested, and how it went: the network as a whole, by region, or by orchestrator."""

from collections.abc import Collection

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, match_columns
from queries.scoring import formulas
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.scored_events import AI_KEYS, network_jobs, select_jobs, timed, with_spellings
from queries.scoring.warm_and_cold import TIME_COLUMNS, percentiles

NETWORK_GROUP_COLUMNS = ("orchestrator", "region", *AI_KEYS)
_COLUMNS = (
    *("job_type", *NETWORK_GROUP_COLUMNS, "orchestrators", "events", "succeeded", "failed", "unscored"),
    *("success_rate", *TIME_COLUMNS, "quality", "warm_events", "cold_events", "last_seen"),
)
_AI_COLUMNS = {"quality": nw.Float64(), "warm_events": nw.Int64(), "cold_events": nw.Int64()}


@engine_agnostic
def network_stats(
    events: NarwhalsFrame,
    event_filter: EventFilter = EventFilter(),
    *,
    group_columns: Collection[str] = ("region", *AI_KEYS),
    formula: Formula = FORMULA_2,
) -> NarwhalsFrame:
    """One row per group of the filter's events, sorted by the group.

    ``group_columns`` are some of NETWORK_GROUP_COLUMNS; without any, there is
    one row for all events, or none where there are no events. Columns:

    - job_type, and the ``group_columns``; for transcoding, pipeline and model
      are left out
    - orchestrators (Int64): how many were tested
    - events, succeeded, failed, unscored (Int64): counted as in ``ranking``
    - success_rate (Float64, 0..1): the mean over the scored events; null without any
    - p50_round_trip_time, p95_round_trip_time (Float64, seconds): over the jobs
      that succeeded and took time, as in ``ranking``
    - quality (Float64, 0..1): the mean of the live streams that succeeded; null without any
    - warm_events, cold_events (Int64): the scored events whose model was
      loaded already, and those whose model was not; null for transcoding
    - last_seen (Datetime, UTC): the time of the last event

    >>> from queries import network_stats, sample_data
    >>> stats = network_stats(sample_data.events())
    >>> stats.select("region", "orchestrators", "events", "failed", "success_rate", "p50_round_trip_time")
    shape: (2, 6)
    ┌────────┬───────────────┬────────┬────────┬──────────────┬─────────────────────┐
    │ region ┆ orchestrators ┆ events ┆ failed ┆ success_rate ┆ p50_round_trip_time │
    │ ---    ┆ ---           ┆ ---    ┆ ---    ┆ ---          ┆ ---                 │
    │ str    ┆ i64           ┆ i64    ┆ i64    ┆ f64          ┆ f64                 │
    ╞════════╪═══════════════╪════════╪════════╪══════════════╪═════════════════════╡
    │ FRA    ┆ 2             ┆ 3      ┆ 1      ┆ 0.833333     ┆ 1.25                │
    │ NYC    ┆ 2             ┆ 2      ┆ 1      ┆ 0.5          ┆ 1.0                 │
    └────────┴───────────────┴────────┴────────┴──────────────┴─────────────────────┘
    """
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    jobs = match_columns(select_jobs(network, event_filter), event_filter, "orchestrator")
    jobs = jobs.with_columns(nw.lit(job_type).alias("job_type"))
    names = ("job_type", *NETWORK_GROUP_COLUMNS) if job_type == AI else ("job_type", "orchestrator", "region")
    keys = [name for name in names if name == "job_type" or name in group_columns]
    groups = jobs.group_by(*keys).agg(
        *formulas.counts(),
        formulas.counted_value("success_rate").mean().alias("success_rate"),
        nw.col("orchestrator").n_unique().cast(nw.Int64()).alias("orchestrators"),
        *(_ai_aggregations() if job_type == AI else ()),
    )
    if job_type != AI:
        groups = groups.with_columns(nw.lit(None).cast(dtype).alias(name) for name, dtype in _AI_COLUMNS.items())
    rows = groups.join(percentiles(timed(jobs, job_type, formula), keys), on=keys, how="left")
    rows = rows.with_columns((nw.col("events") - nw.col("succeeded")).alias("failed"))
    if "pipeline" in keys:
        rows = with_spellings(rows, events, event_filter, formula)
    kept = [name for name in _COLUMNS if name in keys or name not in NETWORK_GROUP_COLUMNS]
    return rows.select(*kept).sort(*keys)


def _ai_aggregations() -> list[nw.Expr]:
    """Aggregations: the columns of _AI_COLUMNS."""
    is_scored, is_warm = ~nw.col("success_rate").is_null(), nw.col("warm")
    return [
        nw.when(formulas.succeeded()).then(nw.col("quality")).mean().alias("quality"),
        *(
            (is_scored & condition).fill_null(value=False).cast(nw.Int64()).sum().cast(nw.Int64()).alias(name)
            for name, condition in (("warm_events", is_warm), ("cold_events", ~is_warm))
        ),
    ]
