"""A feed of what changed for an orchestrator."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import polars as pl
from flask import Response, request

import queries
from leaderboard.services import service
from leaderboard.web import table_params
from leaderboard.web.media_types import ATOM
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.orchestrator.changes import (
    FEED_DAYS,
    LOOK_BACK,
    Change,
    changes_of_errors,
    changes_of_score,
    changes_of_tests,
)
from leaderboard.web.pages.orchestrator.choice import events_of, own_filter
from leaderboard.web.pages.orchestrator.results import matching_events
from leaderboard.web.windows import scored_window
from queries import AI, ERROR_CLASSES, TRANSCODING, EventFilter, EventWindow, Formula
from queries.times import MICROSECOND, TimeRange

DEFAULT_MIN_SCORE = 0.7


class FeedOptions(NamedTuple):
    """The days that are read, the score below which nothing should fall, and the formula."""

    days: TimeRange
    min_score: float
    formula: Formula


@bp.get("/orchestrators/<address>/feed.atom")
def feed(address: str) -> Response:
    """The days of the last weeks on which an orchestrator fell below a score, was not tested, or met new errors."""
    address, state = table_params.parse_address(address), current_state()
    min_score = table_params.share(request, "min_score", DEFAULT_MIN_SCORE)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = TimeRange(today - FEED_DAYS - LOOK_BACK, today - MICROSECOND)
    window = scored_window(days, state.formula)
    if window.version is not None:
        # a day without any result ends as well
        window = replace(window, version=f"{window.version} {today:%Y-%m-%d}")

    def values() -> dict[str, Any]:
        names_jobs = {"job_type", "pipeline", "model"} & state.given.keys()
        events = events_of(window, address)
        changes: list[Change] = []
        for job_type in [state.event_filter.job_type] if names_jobs else [TRANSCODING, AI]:
            event_filter = replace(own_filter(state, address), job_type=job_type)
            changes += _changes(window, events, event_filter, FeedOptions(days, min_score, state.formula))
        entries = sorted((change for change in changes if change.moment > today - FEED_DAYS), reverse=True)
        return {
            "address": address,
            "feed_uuid": uuid5(NAMESPACE_URL, f"leaderboard:{address}"),
            "min_score": min_score,
            "entries": [change._asdict() | {"uuid": change.uuid(address)} for change in entries],
            "updated": entries[0].moment if entries else today - FEED_DAYS,
        }

    return page_response(state, [window], "orchestrator_feed.xml", values, ATOM)


def _changes(
    window: EventWindow, events: pl.DataFrame, event_filter: EventFilter, options: FeedOptions
) -> Iterator[Change]:
    """What changed for the filter's orchestrator and jobs. ``events`` are its own of the window."""
    days, min_score, formula = options
    job = "AI" if event_filter.job_type == AI else "Transcoding"
    is_unscored = pl.col("outcome").str.starts_with("unscored").fill_null(value=False)
    own = matching_events(events, event_filter).with_columns(is_unscored=is_unscored)
    if own.is_empty():
        return
    history = window.collect(
        lambda network: queries.score_history(network, event_filter, group_columns=("orchestrator",), formula=formula)
    )
    weighted = (pl.col("score") * pl.col("events")).sum() / pl.col("events").sum()
    scored = history.filter(pl.col("score").is_not_null()).group_by(pl.col("bucket").dt.date())
    yield from changes_of_score(job, dict(scored.agg(weighted).iter_rows()), min_score)
    first_day, days_in_range = days.since.date(), (days.until - days.since).days + 1
    every_day = [first_day + timedelta(days=number) for number in range(days_in_range)]
    yield from changes_of_tests(job, set(own["event_time"].dt.date()), every_day)
    results = service().events.results(event_filter.orchestrator or "", *days, event_filter.job_type, with_errors=True)
    failed = own.filter(pl.col("success_rate") < 1, ~pl.col("is_unscored")).select("id").lazy()
    posted = results.load().lazy().join(failed, on="id", how="semi")
    errors = queries.collect(queries.daily_error_classes(posted, event_filter))
    yield from changes_of_errors(job, errors, {found.name: found.what_to_do for found in ERROR_CLASSES})
