"""Scores over time."""

from collections.abc import Collection

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import EventFilter
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.grouping import score_groups
from queries.scoring.scored_events import AI_KEYS, network_jobs, select_jobs, with_spellings

SCORE_INTERVALS = ("1h", "6h", "1d", "7d")
"""The lengths of a bucket that every engine knows."""
GROUP_COLUMNS = ("orchestrator", "region")
SUM_COLUMNS = ("sum_success_rate", "sum_round_trip_time", "sum_seg_duration", "sum_quality", "quality_events")
_KEY_COLUMNS = ("bucket", *GROUP_COLUMNS, *AI_KEYS)
_COLUMNS = (
    *("bucket", "orchestrator", "region", "job_type", "pipeline", "model"),
    *("events", "succeeded", "failed", "unscored"),
    *(*SUM_COLUMNS, "median_round_trip_time", *SCORE_FIELDS),
)
_THURSDAY = 4


@engine_agnostic
def score_history(
    events: NarwhalsFrame,
    event_filter: EventFilter = EventFilter(),
    *,
    interval: str | None = "1d",
    orchestrators: Collection[str] = (),
    group_columns: Collection[str] = GROUP_COLUMNS,
    formula: Formula = FORMULA_2,
) -> NarwhalsFrame:
    """One row per bucket of time, orchestrator, region, pipeline and model with events, sorted by these.

    ``interval`` is the length of a bucket, one of SCORE_INTERVALS or 1mo, and
    on Polars any of its intervals. Buckets are cut in UTC from 1970-01-01, so
    those of 7d begin on a Thursday. None is for events that have a column
    ``bucket``; there, a pipeline is spelled as the bucket's newest event spells
    it, and elsewhere as the newest of all. Each bucket is scored by itself, AI jobs
    against the median of all orchestrators' jobs in the bucket with the same
    pipeline and model; AI jobs that do not name both are left out.

    The filter's pipeline and model select the jobs; its region, ``warm`` and
    orchestrator, or ``orchestrators`` (lower case), select what is scored. (With
    FORMULA_1, the region selects the events that medians are taken of, too.)
    ``group_columns`` are those of orchestrator and region that have rows of
    their own. Without one of them, events that differ only in it are scored
    together: ``group_columns=["region"]`` scores the whole network in each region.

    Columns: bucket (Datetime, UTC, the start), the ``group_columns``, job_type,
    pipeline, model (null for transcoding), events (scored ones), succeeded,
    failed, unscored (Int64), sum_success_rate (each counting as 1 at most),
    sum_round_trip_time, sum_seg_duration, sum_quality (Float64), quality_events
    (Int64; both null for transcoding), median_round_trip_time (seconds, the
    network's; null for transcoding, and where no job succeeded), success_rate,
    round_trip_score, score (Float64, 0..1; null without scored events). The sums
    and counts of several buckets add up to the means over all of them. The
    engine's session must be in UTC.

    >>> from queries import sample_data, score_history
    >>> days = score_history(sample_data.events(), group_columns=["orchestrator"])
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
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    if interval is not None:
        network = network.with_columns(bucket=_bucket(interval, polars=events.implementation.is_polars()))
    addresses = [*orchestrators, *([event_filter.orchestrator] if event_filter.orchestrator else [])]
    selected = select_jobs(network, event_filter)
    if addresses:
        selected = selected.filter(nw.col("orchestrator").is_in(addresses))
    left_out = set(GROUP_COLUMNS) - set(group_columns)
    keys = [name for name in _KEY_COLUMNS if name not in left_out]
    group_keys = tuple(key for key in keys if key not in AI_KEYS)
    scores = score_groups(selected, network, job_type, formula, group_keys, ("bucket",))
    columns = [name for name in _COLUMNS if name not in left_out]
    spelling_keys = ("bucket",) if interval is None else ()
    rows = with_spellings(scores, events, event_filter, formula, spelling_keys).with_columns(
        nw.lit(job_type).alias("job_type"), (nw.col("events") - nw.col("succeeded")).alias("failed")
    )
    return rows.select(*columns).sort(*keys)


def _bucket(interval: str, *, polars: bool) -> nw.Expr:
    """The start of an event's bucket."""
    time = nw.col("event_time")
    if polars or interval not in ("6h", "7d"):
        return time.dt.truncate(interval)
    # the other engines truncate to one hour or one day, so the rest is subtracted
    if interval == "6h":
        return _subtract(time.dt.truncate("1h"), time.dt.hour() % 6, 6, "h")
    return _subtract(time.dt.truncate("1d"), (time.dt.weekday() + 7 - _THURSDAY) % 7, 7, "d")


def _subtract(start: nw.Expr, steps: nw.Expr, end: int, unit: str) -> nw.Expr:
    """``start`` minus as many units as ``steps`` says, which is below ``end``."""
    bucket = start
    for step in range(1, end):
        bucket = nw.when(steps == step).then(start.dt.offset_by(f"-{step}{unit}")).otherwise(bucket)
    return bucket
