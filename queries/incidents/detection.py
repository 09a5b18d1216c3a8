"""Whether it was the tester: what went wrong in one region and not in the others."""

from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from queries.engines import to_polars
from queries.incidents.hours import orchestrator_hours, tester_hours
from queries.incidents.silences import silences
from queries.incidents.spans import bad_spans
from queries.schema import with_optional_columns

FAILURES, SLOWNESS, SILENCE = INCIDENT_KINDS = ("failures", "slowness", "silence")
RULES = {FAILURES: "most_failed", SLOWNESS: "most_slow", SILENCE: "long_pause"}
"""The name of the rule that finds each kind. docs/incidents.md explains them."""

_ROWS: dict[str, type[pl.DataType] | pl.DataType] = {
    "begin": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "region": pl.String,
    "job_type": pl.String,
    "kind": pl.String,
    "share_affected": pl.Float64,
    "orchestrators": pl.Int64,
    "events": pl.Int64,
    "rule": pl.String,
}
INCIDENT_EVENT_COLUMNS = (
    *("event_time", "orchestrator", "region", "job_type", "pipeline_slug", "model"),
    *("success_rate", "round_trip_time", "outcome", "error_kind"),
)
"""The columns of EVENT_SCHEMA that tell of incidents."""


def incidents(events: Any, *, region: str | None = None, job_type: str | None = None) -> pl.DataFrame:
    """The spans in which one region's tester, and not the network, was at fault, sorted by begin and region.

    ``events`` is a frame of any engine with all regions' events; at least a few
    days of them, since they also tell what is usual. The result is a frame of
    Polars, whichever engine the events are on. ``region`` and ``job_type``
    select rows of it.

    Columns:

    - begin, end (Datetime, UTC): an exclusion from begin to end covers it
    - region, job_type (String)
    - kind (String): ``failures`` where most orchestrators failed there at once,
      and far fewer elsewhere; ``slowness`` where they took twice
      their usual time; ``silence`` where the tester posted nothing for three
      times its usual longest pause of a day
    - share_affected (Float64): of the orchestrators that were tested in the
      span; null for a silence
    - orchestrators, events (Int64): how many were tested, with how many
      results; null for a silence
    - rule (String): ``most_failed``, ``most_slow`` or ``long_pause``

    A silence that has not ended has the time of the newest event as its end.
    Unscored events say nothing about failures and slowness.

    >>> from queries import incidents, sample_data
    >>> incidents(sample_data.events()).height
    0
    """
    frame = with_optional_columns(nw.from_native(events))
    frame = frame if job_type is None else frame.filter(nw.col("job_type") == job_type)
    hours = to_polars(orchestrator_hours(frame)).cast({pl.String: pl.Categorical})
    hours = hours.with_columns(pl.col("hour").dt.epoch("s") // 3600)
    failed = hours.rename({"failures": "bad", "first_failure": "first_bad", "last_failure": "last_bad"})
    slow = hours.drop("results").filter(pl.col("timed") > 0)
    slow = slow.rename({"timed": "results", "slow": "bad", "first_slow": "first_bad", "last_slow": "last_bad"})
    found = {FAILURES: bad_spans(failed), SLOWNESS: bad_spans(slow), SILENCE: silences(to_polars(tester_hours(frame)))}
    rows = pl.concat((_conform(rows, kind) for kind, rows in found.items())).sort("begin", "region", "job_type", "kind")
    return rows if region is None else rows.filter(pl.col("region") == region)


def _conform(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    absent = [pl.lit(None).alias(name) for name in _ROWS if name not in rows.columns]
    named = rows.with_columns(*absent).with_columns(kind=pl.lit(kind), rule=pl.lit(RULES[kind]))
    return named.select(pl.col(name).cast(dtype) for name, dtype in _ROWS.items())
