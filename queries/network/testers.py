"""How often each tester posts, so that its silence can be told from its usual pause."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.scoring.grouping import event_seconds

_TESTER = ("region", "job_type")


@engine_agnostic
def posting_stats(events: NarwhalsFrame) -> NarwhalsFrame:
    """One row per tester, which is a region and a job type, sorted by the two.

    All events count, unscored ones too. Columns:

    - region, job_type (String)
    - events, orchestrators (Int64): how many results it posted, and of how many orchestrators
    - last_seen (Datetime, UTC): the time of its last event
    - usual_pause (Float64, seconds): its usual longest pause of a day, which is
      the median over the UTC days of the longest time between two events;
      null where it has one event only

    >>> from queries import posting_stats, sample_data
    >>> posting_stats(sample_data.events()).select("region", "job_type", "events", "usual_pause")
    shape: (3, 4)
    ┌────────┬─────────────┬────────┬─────────────┐
    │ region ┆ job_type    ┆ events ┆ usual_pause │
    │ ---    ┆ ---         ┆ ---    ┆ ---         │
    │ str    ┆ str         ┆ i64    ┆ f64         │
    ╞════════╪═════════════╪════════╪═════════════╡
    │ FRA    ┆ ai          ┆ 6      ┆ 10800.0     │
    │ FRA    ┆ transcoding ┆ 3      ┆ 21600.0     │
    │ NYC    ┆ transcoding ┆ 2      ┆ 21600.0     │
    └────────┴─────────────┴────────┴─────────────┘
    """
    timed = events.with_columns(seconds=event_seconds(), day=nw.col("event_time").dt.truncate("1d"))
    before = nw.col("seconds").shift(1).over(*_TESTER, order_by="seconds")
    pauses = timed.with_columns(before=before).with_columns(pause=nw.col("seconds") - nw.col("before"))
    days = pauses.group_by(*_TESTER, "day").agg(nw.col("pause").max())
    usual = days.group_by(*_TESTER).agg(nw.col("pause").median().round(3).alias("usual_pause"))
    counts = events.group_by(*_TESTER).agg(
        nw.len().cast(nw.Int64()).alias("events"),
        nw.col("orchestrator").n_unique().cast(nw.Int64()).alias("orchestrators"),
        nw.col("event_time").max().alias("last_seen"),
    )
    columns = (*_TESTER, "events", "orchestrators", "last_seen", "usual_pause")
    return counts.join(usual, on=list(_TESTER), how="left").select(*columns).sort(*_TESTER)
