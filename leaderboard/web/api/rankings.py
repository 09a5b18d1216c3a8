"""The questions that are answered with tables."""

from functools import partial

from flask import Blueprint, Response, request

from leaderboard.services import service
from leaderboard.web import media_types, params, table_params, table_responses

bp = Blueprint("rankings", __name__)


@bp.get("/score_history")
def score_history() -> Response:
    """How good has an orchestrator been, over time, or the network?"""
    query, form = table_params.history_query(request), media_types.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    history = table_params.history(request, window)
    return table_responses.of_history(service().events_at(*window), query, history, form)


@bp.get("/leaderboard")
def leaderboard() -> Response:
    """Who is the best?"""
    query, form = table_params.tables_query(request), media_types.wanted(request)
    least = table_params.min_events(request)
    paging = table_params.paging(request, service().settings.start_time_window)
    return table_responses.of_ranking(service().events_at(*paging.window), query, least, paging, form)


@bp.get("/orchestrators/<address>")
def orchestrator(address: str) -> Response:
    """Why is an orchestrator's score what it is?"""
    query, form = table_params.address_query(address), media_types.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    results = partial(service().results_at, query.orchestrator, *window)
    return table_responses.of_orchestrator(service().events_at(*window), results, query, form)
