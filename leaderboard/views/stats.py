"""The questions about results."""

from flask import Blueprint, Response, request

import queries
from leaderboard import answers, formats, params
from leaderboard.caching import remember
from leaderboard.service import service
from queries.times import last_hours, time_range

bp = Blueprint("stats", __name__)


@bp.get("/aggregated_stats")
def aggregated_stats() -> Response:
    """How good is each orchestrator, in each region?"""
    query, form = params.scores_query(request), formats.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    events = service().events_at(*window)
    return answers.of_window(queries.aggregated_stats, events, query, answers.scores, form)


@bp.get("/raw_stats")
def raw_stats() -> Response:
    """What exactly did the testers post of one orchestrator?"""
    query, form = params.results_query(request), formats.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    return answers.of_results(service().results_at(query.orchestrator, *window, query.job_type), query, form)


@bp.get("/top_ai_score")
def top_ai_score() -> Response:
    """What is an orchestrator best at?"""
    query = params.orchestrator_query(request)
    events = service().events_at(*last_hours(service().settings.start_time_window))
    return answers.of_window(queries.top_ai_score, events, query, answers.top_score)


@bp.get("/pipelines")
def pipelines() -> Response:
    """Which AI jobs have been seen, and where?"""
    settings = service().settings
    query = params.region_query(request)
    ends = params.moment(request, "since"), params.moment(request, "until")

    def compute() -> answers.Answer:
        events = service().events_at(*time_range(*ends, settings.start_time_window))
        return answers.ask(queries.pipelines, events, query, answers.pipelines)

    return answers.respond(remember(("pipelines", query, ends), settings.pipelines_cache_timeout, compute))
