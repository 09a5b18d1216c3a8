"""The events of a response: without the excluded ones, of several windows or one orchestrator, or explained."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

import queries
from leaderboard.services import service
from leaderboard.web.caching.incidents import incidents_in
from leaderboard.web.rendering import run_aggregated_stats
from queries import (
    AI,
    JOB_COLUMNS,
    TRANSCODING,
    EventFilter,
    EventWindow,
    Explanation,
    Formula,
    StoreUnavailable,
    has_sums,
)
from queries.errors import StoreError
from queries.times import TimeRange, last_hours

WEEK_HOURS = 7 * 24


def select_events(
    results: pl.DataFrame | pl.LazyFrame, own_events: pl.DataFrame, event_filter: EventFilter
) -> pl.DataFrame:
    """The results that are among an orchestrator's own events, warm or cold ones if the filter asks for them.

    Results are read after the events. Those that arrived in between would make
    two parts of one answer disagree. Raises StoreUnavailable.
    """
    if event_filter.warm is not None:
        own_events = own_events.filter(pl.col("warm") == event_filter.warm)
    # as DataFrames, since a plan of lazy ones takes longer than a few rows
    return queries.collect(results).join(own_events, on="id", how="semi")


def common_as_of(window: EventWindow, later: EventWindow) -> datetime | None:
    """The moment that the data of both windows are from, or None if both are current.

    ``later`` was read after ``window``. Raises StoreUnavailable if the database
    became unavailable in between, because a current window may be cached.
    """
    if later.as_of is None:
        return window.as_of
    if window.as_of is None:
        raise StoreUnavailable("the database became unavailable while the results were read")
    return min(window.as_of, later.as_of)


def scored_window(time_range: TimeRange, formula: Formula) -> EventWindow:
    """The events of a window that a formula scores: without the excluded ones, where it applies exclusions."""
    window = service().events.window(*time_range)
    return window.leave_out(service().exclusions.active(), *time_range) if formula.applies_exclusions else window


def window_before(window: EventWindow, time_range: TimeRange | None, formula: Formula) -> EventWindow | None:
    """The scored events of ``time_range``, with which those of ``window`` are compared.

    None without a time range, and where an outage leaves only ``window`` known.
    """
    if time_range is None:
        return None
    try:
        return scored_window(time_range, formula)
    except StoreError:
        if window.as_of is None:
            raise
        return None


def scored_week(recent_hours: float, formula: Formula) -> tuple[EventWindow, datetime]:
    """The scored events of the last seven days, or of ``recent_hours`` if these are more, and when the latter begin.

    Its version also changes when events become older than ``recent_hours``.
    """
    recent_range = last_hours(recent_hours)
    recent = scored_window(recent_range, formula)
    week = scored_window(last_hours(max(recent_hours, WEEK_HOURS)), formula)
    is_known = week.version is not None and recent.version is not None
    version = f"{week.version} {recent.version}" if is_known else None
    return replace(week, version=version), recent_range.since


class Explained(NamedTuple):
    """Why an orchestrator has its score, its results that list errors, and the ``common_as_of`` of the data."""

    why: Explanation
    results: pl.LazyFrame
    as_of: datetime | None


def explain(window: EventWindow, time_range: TimeRange, event_filter: EventFilter, formula: Formula) -> Explained:
    """Why the filter's orchestrator has its score in a window of ``scored_window``.

    Raises StoreUnavailable and StoreTimeout.
    """
    # loaded first, so that the results have all of its events
    events = window.load()
    results = service().events.results(
        event_filter.orchestrator or "", *time_range, event_filter.job_type, with_errors=True
    )
    why = queries.explanation(
        events,
        event_filter,
        results=results.load().lazy(),
        incidents=incidents_in(time_range, event_filter.job_type),
        formula=formula,
    )
    return Explained(why, results.load().lazy(), common_as_of(window, results))


class OrchestratorTables:
    """What a window has of the filter's orchestrator, warm or cold results if the filter asks for them.

    Only AI jobs are scored beside those of others. So all events of the window
    are read for an orchestrator that has some, and else its own events. The
    window is loaded once. Raises StoreUnavailable and StoreTimeout.
    """

    def __init__(self, window: EventWindow, event_filter: EventFilter, formula: Formula) -> None:
        parts = window.load_parts()
        self._window = replace(window, load_parts=lambda: parts)
        self._all_events = self._window.load()
        self._filter = event_filter
        self._formula = formula
        self.events = queries.collect(
            self._all_events.lazy().filter(pl.col("orchestrator") == (event_filter.orchestrator or ""))
        )

    def jobs(self) -> pl.DataFrame:
        """The rows of orchestrator_jobs."""
        return pl.concat(map(self._jobs, self._job_types))

    def nodes(self) -> pl.DataFrame:
        """The rows of service_uris."""
        nodes = pl.concat(map(self._nodes, self._job_types))
        return nodes.sort("service_uri", *JOB_COLUMNS)

    @cached_property
    def _job_types(self) -> list[str]:
        """Those that the orchestrator has, in order; where it has none, one of which there will be no rows."""
        return self.events["job_type"].unique().cast(pl.String).sort().to_list() or [TRANSCODING]

    def _nodes(self, job_type: str) -> pl.DataFrame:
        return self._rows(queries.service_uris, job_type, self._all_events if job_type == AI else self.events)

    def _jobs(self, job_type: str) -> pl.DataFrame:
        network_filter = EventFilter(job_type=job_type, warm=self._filter.warm)
        if not has_sums(network_filter, self._formula):
            return self._rows(queries.orchestrator_jobs, job_type, self._all_events)
        jobs = self._rows(queries.orchestrator_jobs, job_type, self.events)
        stats = run_aggregated_stats(self._window, network_filter, self._formula)
        ranks = queries.transcoding_ranks(stats, self._filter.orchestrator or "")
        ranked = jobs.drop("rank", "ranked_count").join(ranks, on="region", how="left", maintain_order="left")
        return ranked.with_columns(pl.col("ranked_count").fill_null(0)).select(jobs.columns)

    def _rows(self, query: Callable[..., Any], job_type: str, events: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
        return queries.collect(query(events, self._filter, formula=self._formula, job_types=(job_type,)))
