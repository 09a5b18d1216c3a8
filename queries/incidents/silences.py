"""Spans in which a region's tester posted nothing for longer than it usually does."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame

_TESTER = ("region", "job_type")

MIN_PAUSE_FACTOR = 3.0
"""A silence is so many times as long as the usual longest pause of a day."""
MIN_DAILY_RESULTS = 12
"""A tester that usually posts fewer results a day has no usual pause."""


def silences(events: NarwhalsFrame) -> NarwhalsFrame:
    """One row per silence: region, job_type, begin, end (Datetime: the results before and after it).

    A silence that has not ended has the time of the newest result of all
    regions as its end.
    """
    results = events.select("event_time", *(nw.col(name).cast(nw.String()) for name in _TESTER))
    newest = results.select(nw.col("event_time").max().alias("newest"))
    after = nw.col("event_time").shift(-1).over(*_TESTER, order_by="event_time")
    pauses = (
        results.with_columns(end=after)
        .join(newest, how="cross")
        .with_columns(end=nw.when(nw.col("end").is_null()).then(nw.col("newest")).otherwise(nw.col("end")))
        .with_columns(
            seconds=(nw.col("end") - nw.col("event_time")).dt.total_seconds(), day=nw.col("event_time").dt.date()
        )
    )
    days = pauses.group_by(*_TESTER, "day").agg(nw.col("seconds").max(), nw.len().cast(nw.Int64()).alias("results"))
    usual = days.group_by(*_TESTER).agg(
        nw.col("seconds").median().alias("usual_seconds"), nw.col("results").median().alias("daily_results")
    )
    return (
        pauses.join(usual, on=list(_TESTER), how="inner")
        .filter(
            nw.col("daily_results") >= MIN_DAILY_RESULTS,
            nw.col("seconds") > MIN_PAUSE_FACTOR * nw.col("usual_seconds"),
        )
        .select(*_TESTER, nw.col("event_time").alias("begin"), "end")
    )
