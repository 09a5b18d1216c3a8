"""The latest results of an orchestrator, failed ones first, and one of them as it was posted."""

from contextlib import suppress
from typing import Any

import msgspec
import polars as pl

from queries import EventFilter, classify_errors, normalize_error, slug_of, split_errors

MAX_FAILED, MAX_ALL = 10, 20
MAX_PAYLOAD_CHARACTERS = 100_000
"""Of a result that is shown."""
LIVE_PIPELINE = "live-video-to-video"
"""Its testers post a quality (0..1) as the time of a stream that succeeded."""
SUCCEEDED, FAILED, PARTLY, UNSCORED = "succeeded", "failed", "failed in part", "unscored"

_COLUMNS = (
    *("id", "event_time", "region", "pipeline", "model", "state", "success_rate", "seconds", "quality"),
    *("service_uri", "class", "code"),
)


def matching_events(events: pl.DataFrame, event_filter: EventFilter) -> pl.DataFrame:
    """The events of ``events_of`` that match the filter, as text."""
    conditions = [
        pl.col(name) == value
        for name in ("job_type", "region", "model", "warm")
        if (value := getattr(event_filter, name)) is not None
    ]
    if event_filter.pipeline is not None:
        conditions.append(pl.col("pipeline_slug") == slug_of(event_filter.pipeline))
    return events.filter(*conditions).with_columns(pl.selectors.categorical().cast(pl.String))


def latest_results(own: pl.DataFrame, results: pl.LazyFrame) -> dict[str, list[dict[str, Any]]]:
    """The latest failed results, and the latest of all: rows with their state, and the class and code of an error.

    ``own`` are events of ``matching_events``, ``results`` the same with ``payload``.
    """
    is_unscored = pl.col("outcome").str.starts_with("unscored").fill_null(value=False)
    state = (
        pl.when(is_unscored)
        .then(pl.lit(UNSCORED))
        .when(pl.col("success_rate") >= 1)
        .then(pl.lit(SUCCEEDED))
        .when(pl.col("success_rate") > 0)
        .then(pl.lit(PARTLY))
        .otherwise(pl.lit(FAILED))
    )
    is_quality = (pl.col("pipeline_slug") == LIVE_PIPELINE).fill_null(value=False) & (pl.col("round_trip_time") <= 1)
    time = pl.col("round_trip_time")
    described = own.with_columns(
        state=state, quality=pl.when(is_quality).then(time), seconds=pl.when(~is_quality).then(time)
    )
    in_order = described.sort("event_time", "id", descending=True)
    failed = in_order.filter(pl.col("state").is_in([FAILED, PARTLY])).head(MAX_FAILED)
    newest = in_order.head(MAX_ALL)
    errors = _first_errors(results, {*failed["id"], *newest["id"]})
    return {
        name: rows.join(errors, on="id", how="left", maintain_order="left").select(_COLUMNS).to_dicts()
        for name, rows in (("failed", failed), ("newest", newest))
    }


def payload_of(results: pl.LazyFrame, result_id: int) -> str | None:
    """A result as it was posted, indented; None if it is not among the results."""
    found = results.filter(pl.col("id") == result_id).select("payload").collect()
    if found.is_empty():
        return None
    text = found.item()
    with suppress(msgspec.MsgspecError):
        text = msgspec.json.format(text, indent=2)
    return text if len(text) <= MAX_PAYLOAD_CHARACTERS else f"{text[:MAX_PAYLOAD_CHARACTERS]}\n…"


def _first_errors(results: pl.LazyFrame, ids: set[int]) -> pl.DataFrame:
    """id, class and code of the first error of each result that has any."""
    error = pl.col("error")
    posted = (
        results.filter(pl.col("id").is_in(list(ids)))
        .select("id", error=split_errors(pl.col("payload")).list.first())
        .filter(error.is_not_null())
        .select(
            "id",
            code=error.str.json_path_match("$.error_code").fill_null(""),
            message=error.str.json_path_match("$.message"),
        )
    )
    return posted.select(
        "id", classify_errors(pl.col("code"), pl.col("message")).alias("class"), code=normalize_error(pl.col("code"))
    ).collect()
