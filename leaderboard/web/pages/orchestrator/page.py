"""The page of one orchestrator: why its score is what it is, how it did over time, and what its results were."""

from dataclasses import replace
from math import fsum
from typing import Any

import polars as pl
from flask import Response, request

import queries
from leaderboard.services import service
from leaderboard.web import table_params
from leaderboard.web.caching.incidents import incidents_in
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.facets import job_choices, region_choices
from leaderboard.web.pages.layout.frame import state_values
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.pages.layout.tables import Figure
from leaderboard.web.pages.orchestrator.choice import events_of, own_filter, with_own_job_type
from leaderboard.web.pages.orchestrator.costs import error_rows, job_rows, what_if_rows
from leaderboard.web.pages.orchestrator.course import score_chart
from leaderboard.web.pages.orchestrator.days import RegionDay, region_days, region_rows
from leaderboard.web.pages.orchestrator.results import latest_results, matching_events, payload_of
from leaderboard.web.rendering import run_query
from leaderboard.web.windows import explain, scored_window
from queries import AI, SUGGESTED_MIN_EVENTS, EventFilter, EventWindow, Explanation

MAX_ID = 10**15 - 1


@bp.get("/orchestrators/<address>")
def orchestrator(address: str) -> Response:
    """All about one orchestrator."""
    address, asked = table_params.parse_address(address), current_state()
    result_id = table_params.integer(request, "result", 0, 0, MAX_ID)
    window = scored_window(asked.time_range, asked.formula)

    def values() -> dict[str, Any]:
        events = events_of(window, address)
        state = with_own_job_type(asked, events)
        event_filter = own_filter(state, address)
        explained = explain(window, state.time_range, event_filter, state.formula)
        own = matching_events(events, event_filter)
        days = region_days(event_filter, state.time_range, state.formula)
        causes = explained.why.causes.to_dicts()
        has_quality = any(row["cause"] == "quality" and max(row["cost"], row["median"]) > 0 for row in causes)
        incidents = incidents_in(state.time_range, event_filter.job_type)
        return {
            **_choices(events, state, event_filter),
            "address": address,
            "why": explained.why,
            "figures": _figures(explained.why, own, days),
            "jobs": job_rows(explained.why, own),
            "causes": [row for row in causes if row["cause"] != "quality" or has_quality],
            "has_quality": has_quality,
            "suggested_min_events": SUGGESTED_MIN_EVENTS,
            "what_ifs": what_if_rows(explained.why),
            "errors": error_rows(explained.why),
            "chart": score_chart(window, state, event_filter, incidents),
            "region_bars": region_rows(days, state.time_range),
            **_ai_tables(window, events, state, event_filter),
            **latest_results(own, explained.results),
            **_urls(state, address),
            "result_id": result_id,
            "payload": payload_of(_results(state, address), result_id) if result_id else None,
        }

    return page_response(asked, [window], "orchestrator.html", values)


def _results(state: PageState, address: str) -> pl.LazyFrame:
    return service().events.results(address, *state.time_range, state.event_filter.job_type).load().lazy()


def _choices(events: pl.DataFrame, state: PageState, event_filter: EventFilter) -> dict[str, Any]:
    """The state of the page, and its filters: the orchestrator's own jobs and regions."""
    kinds, pipeline_choices = job_choices(state, queries.pipelines(events, EventFilter(job_type=AI)))
    regions = matching_events(events, replace(event_filter, region=None))["region"].unique()
    return {
        "state": state,
        **state_values(state),
        "job_kinds": kinds,
        "pipeline_choices": pipeline_choices,
        "region_choices": region_choices(state, regions.to_list()),
    }


def _urls(state: PageState, address: str) -> dict[str, str]:
    """Where the API answers the same."""
    path, job_type = f"orchestrators/{address}/explanation", state.event_filter.job_type
    return {
        "explanation_url": state.api_link(path, job_type=job_type),
        "explanation_curl_url": state.api_link(path, absolute=True, job_type=job_type),
        "raw_url": state.api_link("raw_stats", orchestrator=address, job_type=job_type, format="csv"),
    }


def _figures(why: Explanation, own: pl.DataFrame, days: list[RegionDay]) -> list[Figure]:
    """The orchestrator's numbers, or when it was last tested, if that was before the window. None if it never was."""
    if own.is_empty():
        return [Figure("Last tested", f"{max(one.day for one in days)}")] if days else []
    unscored = formats.plural(why.unscored, "unscored result") if why.unscored else ""
    rank = f"rank {why.rank} of {why.ranked_count}" if why.rank else "no scored results"
    success_rate = fsum(why.jobs["weight"] * why.jobs["success_rate"]) if why.score is not None else None
    return [
        Figure("Score", formats.score(why.score), rank),
        Figure("Success rate", formats.percent(success_rate), formats.plural(why.failed, "failed test")),
        Figure("Tests", formats.count(why.events), unscored),
        Figure("Last tested", formats.moment(own["event_time"].max())),  # type: ignore[arg-type]
    ]


def _ai_tables(
    window: EventWindow, events: pl.DataFrame, state: PageState, event_filter: EventFilter
) -> dict[str, Any]:
    """How it did with warm models and with cold ones, and each of its nodes. Only AI testers tell.

    ``events`` are the orchestrator's own.
    """
    if event_filter.job_type != AI:
        return {"temperatures": [], "nodes": []}
    temperatures: list[dict[str, Any]] = []
    for is_warm in (True, False):
        asked = replace(event_filter, warm=is_warm)
        stats = queries.network_stats(events, asked, group_columns=(), formula=state.formula)
        temperatures += [row | {"is_warm": is_warm} for row in stats.to_dicts()]
    names_nodes = events["service_uri"].null_count() < events.height
    nodes = run_query(queries.service_uris, window, event_filter, formula=state.formula) if names_nodes else None
    return {"temperatures": temperatures, "nodes": [] if nodes is None else nodes.to_dicts()}
