"""The tables of an explanation: what each job costs, what would change, and which errors to fix."""

from datetime import timedelta
from typing import Any

import polars as pl

from leaderboard.web.pages.orchestrator.pictures import CAUSES, cost_bar
from queries import Explanation, slug_of

_CHANGES = {
    "success_99": "99 % success for all jobs",
    "success_99_in_worst_job": "99 % success for {}",
    "median_speed": "As fast as the median orchestrator for all jobs",
}


def job_rows(why: Explanation, own: pl.DataFrame) -> list[dict[str, Any]]:
    """The jobs of an explanation, each with its picture, and with when it was tested and will be next.

    ``own`` are the events of the orchestrator.
    """
    rows, times = why.jobs.to_dicts(), _test_times(own)
    if not rows:
        return []
    compared = [sum(row[f"median_{cause}_cost"] for cause in CAUSES) for row in rows]
    largest = max(*(row["cost"] for row in rows), *compared, 1e-9)
    return [
        row
        | times.get((row["region"], slug_of(row["pipeline"] or ""), row["model"]), {"last": None, "next": None})
        | {
            "name": job_name(row),
            "bar": cost_bar({cause: row[f"{cause}_cost"] for cause in CAUSES}, median, largest),
        }
        for row, median in zip(rows, compared, strict=True)
    ]


def what_if_rows(why: Explanation) -> list[dict[str, Any]]:
    """The changes of an explanation that gain 0.001 at least, in words, with the places that each gains."""
    return [
        row | {"label": _CHANGES[row["change"]].format(job_name(row)), "places": (why.rank or 0) - row["rank"]}
        for row in why.what_ifs.filter(pl.col("gain").round(3) > 0).to_dicts()
    ]


def error_rows(why: Explanation) -> list[dict[str, Any]]:
    """One row per class of the errors of failed results, the most frequent first, with the regions it occurred in."""
    by_class = why.error_classes.group_by("class", "what_to_do").agg(
        pl.col("results", "count").sum(), pl.col("last_seen").max(), regions=pl.col("region").unique().sort()
    )
    return by_class.sort("results", "count", "class", descending=[True, True, False]).to_dicts()


def job_name(row: dict[str, Any]) -> str:
    """A job in words."""
    if row["pipeline"] is None:
        return f"transcoding in {row['region']}"
    return f"{row['pipeline']}, {row['model']} in {row['region']}"


def _test_times(own: pl.DataFrame) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    """When each job was tested last, and when the next test is due by the mean time between its tests."""
    time = pl.col("event_time")
    groups = own.group_by("region", "pipeline_slug", "model").agg(first=time.min(), last=time.max(), events=pl.len())
    times = {}
    for region, slug, model, first, last, events in groups.iter_rows():
        interval = (last - first) / (events - 1) if events > 1 else timedelta(0)
        times[region, slug or "", model] = {"last": last, "next": last + interval if interval else None}
    return times
