"""How good has each orchestrator been, over time?"""

from collections.abc import Collection

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.filters import EventFilter, apply_filter
from queries.scoring.grouping import AI_KEYS, SCORE_FIELDS, scorable, score_groups

SCORE_INTERVALS = ("1h", "6h", "1d", "7d")
"""The lengths of a span that every engine knows."""
GROUP_COLUMNS = ("orchestrator", "region")
KEY_COLUMNS = ("bucket", *GROUP_COLUMNS, *AI_KEYS)
SUM_COLUMNS = ("sum_success_rate", "sum_round_trip_time", "sum_seg_duration")
HISTORY_COLUMNS = (
    *("bucket", "orchestrator", "region", "job_type", "pipeline", "model", "events"),
    *(*SUM_COLUMNS, "median_round_trip_time", *SCORE_FIELDS),
)
_THURSDAY = 4


def score_history(
    events: IntoFrameT,
    event_filter: EventFilter = EventFilter(),
    *,
    every: str = "1d",
    orchestrators: Collection[str] = (),
    by: Collection[str] = GROUP_COLUMNS,
) -> IntoFrameT:
    """One row per span of time, orchestrator, region, pipeline and model that has events, sorted by these.

    ``every`` is the length of a span in UTC, one of EVERY or 1mo, and on Polars
    any multiple; one of 7d begins on a Thursday, as 1970 did. Each is scored by
    itself, AI jobs against the median of all orchestrators' jobs in the span
    with the same pipeline and model; those that name neither are left out. The
    query's region, pipeline and model choose the events, its orchestrator, or
    any of ``orchestrators`` (lower case), the rows of the answer only.

    ``by`` tells which of orchestrator and region have rows of their own, as
    both have; what is left out is scored as if it were one: with
    ``by=["region"]`` the whole network is, in each region.

    Columns: bucket (Datetime, UTC, when the span begins), orchestrator and
    region (those of ``by``), job_type, pipeline, model (null for transcoding),
    events (Int64), the sums of success_rate (each counting as 1 at most),
    round_trip_time and seg_duration as sum_success_rate and so on (Float64),
    the median_round_trip_time of the network in seconds (null for transcoding,
    and where no job succeeded), and success_rate, round_trip_score, score
    (0..1). From the sums and counts of several spans follow the means of them
    all. The engine's session must be in UTC.

    >>> from queries import sample_data, score_history
    >>> days = score_history(sample_data.events(), by=["orchestrator"])
    >>> days.select("bucket", "orchestrator", "events", "success_rate", "round_trip_score", "score")
    shape: (3, 6)
    ┌─────────────────────────┬──────────────┬────────┬──────────────┬──────────────────┬──────────┐
    │ bucket                  ┆ orchestrator ┆ events ┆ success_rate ┆ round_trip_score ┆ score    │
    │ ---                     ┆ ---          ┆ ---    ┆ ---          ┆ ---              ┆ ---      │
    │ datetime[μs, UTC]       ┆ str          ┆ i64    ┆ f64          ┆ f64              ┆ f64      │
    ╞═════════════════════════╪══════════════╪════════╪══════════════╪══════════════════╪══════════╡
    │ 2026-09-01 00:00:00 UTC ┆ 0xaa         ┆ 3      ┆ 0.833333     ┆ 0.930517         ┆ 0.77543  │
    │ 2026-09-01 00:00:00 UTC ┆ 0xbb         ┆ 1      ┆ 1.0          ┆ 0.632121         ┆ 0.632121 │
    │ 2026-09-02 00:00:00 UTC ┆ 0xbb         ┆ 1      ┆ 0.0          ┆ 0.0              ┆ 0.0      │
    └─────────────────────────┴──────────────┴────────┴──────────────┴──────────────────┴──────────┘
    """
    group = [name for name in KEY_COLUMNS if name not in GROUP_COLUMNS or name in by]
    source = nw.from_native(events)
    bucket = _bucket(every, source.implementation.is_polars())
    jobs = scorable(
        apply_filter(source, event_filter, "region", "pipeline", "model"), event_filter.job_type
    ).with_columns(bucket=bucket)
    wanted = [*orchestrators, *([event_filter.orchestrator] if event_filter.orchestrator else [])]
    chosen = jobs.filter(nw.col("orchestrator").is_in(wanted)) if wanted else jobs
    spans = score_groups(
        jobs, chosen, event_filter.job_type, tuple(name for name in group if name not in AI_KEYS), ("bucket",)
    )
    columns = [name for name in HISTORY_COLUMNS if name not in GROUP_COLUMNS or name in by]
    return spans.with_columns(nw.lit(event_filter.job_type).alias("job_type")).select(*columns).sort(*group).to_native()


def _bucket(every: str, polars: bool) -> nw.Expr:
    """When the span of an event begins."""
    time = nw.col("event_time")
    if polars or every not in ("6h", "7d"):
        return time.dt.truncate(every)
    # the others cut at single hours and days, from which it is some more to go back
    if every == "6h":
        return _back(time.dt.truncate("1h"), time.dt.hour() % 6, 6, "h")
    return _back(time.dt.truncate("1d"), (time.dt.weekday() + 7 - _THURSDAY) % 7, 7, "d")


def _back(begin: nw.Expr, steps: nw.Expr, most: int, unit: str) -> nw.Expr:
    bucket = begin
    for step in range(1, most):
        bucket = nw.when(steps == step).then(begin.dt.offset_by(f"-{step}{unit}")).otherwise(bucket)
    return bucket
