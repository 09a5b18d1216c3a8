"""The questions about results."""

from flask import Blueprint, Response, request

import queries
from leaderboard.services import service
from leaderboard.web import media_types, params, responses
from leaderboard.web.cache import remember
from queries.times import last_hours, time_range

bp = Blueprint("stats", __name__)


@bp.get("/aggregated_stats")
def aggregated_stats() -> Response:
    """How good is each orchestrator, in each region?"""
    query, form = params.scores_query(request), media_types.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    events = service().events_at(*window)
    return responses.of_window(queries.aggregated_stats, events, query, responses.scores, form)


@bp.get("/raw_stats")
def raw_stats() -> Response:
    """What exactly did the testers post of one orchestrator?"""
    query, form = params.results_query(request), media_types.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    return responses.of_results(service().results_at(query.orchestrator, *window, query.job_type), query, form)


@bp.get("/top_ai_score")
def top_ai_score() -> Response:
    """What is an orchestrator best at?"""
    query = params.orchestrator_query(request)
    events = service().events_at(*last_hours(service().settings.start_time_window))
    return responses.of_window(queries.top_ai_score, events, query, responses.top_score)


@bp.get("/pipelines")
def pipelines() -> Response:
    """Which AI jobs have been seen, and where?"""
    settings = service().settings
    query = params.region_query(request)
    ends = params.moment(request, "since"), params.moment(request, "until")

    def compute() -> responses.Answer:
        events = service().events_at(*time_range(*ends, settings.start_time_window))
        return responses.ask(queries.pipelines, events, query, responses.pipelines)

    return responses.respond(remember(("pipelines", query, ends), settings.pipelines_cache_timeout, compute))
