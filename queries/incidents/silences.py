"""Spans in which a region's tester posted nothing for longer than it usually does."""

from datetime import timedelta

import polars as pl

MIN_PAUSE_FACTOR = 3.0
"""A silence is so many times as long as the usual longest pause of a day."""
MIN_SILENCE = timedelta(hours=1)
"""What is shorter is no silence, however often a tester posts."""
MIN_DAILY_RESULTS = 12
"""A tester that usually posts fewer results a day has no usual pause."""

_TESTER = ("region", "job_type")


def silences(hours: pl.DataFrame) -> pl.DataFrame:
    """One row per silence: region, job_type, begin, end (Datetime: the results before and after it).

    ``hours`` are those of ``tester_hours``. A silence that has not ended has
    the time of the newest result of all regions as its end.
    """
    newest = pl.col("last").max()
    pauses = (
        hours.sort(*_TESTER, "first")
        .select(
            *_TESTER,
            "results",
            begin="last",
            end=pl.col("first").shift(-1).over(_TESTER).fill_null(newest),
            day=pl.col("last").dt.date(),
        )
        .with_columns(pause=pl.col("end") - pl.col("begin"))
    )
    days = pauses.group_by(*_TESTER, "day").agg(pl.col("pause").max(), pl.col("results").sum())
    usual = days.group_by(_TESTER).agg(
        pl.col("pause").median().alias("usual_pause"), pl.col("results").median().alias("daily_results")
    )
    return (
        pauses.join(usual, on=_TESTER)
        .filter(
            pl.col("daily_results") >= MIN_DAILY_RESULTS,
            pl.col("pause") >= MIN_SILENCE,
            pl.col("pause") > MIN_PAUSE_FACTOR * pl.col("usual_pause"),
        )
        .select(*_TESTER, "begin", "end")
    )
