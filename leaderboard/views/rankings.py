"""The questions that are answered with tables."""

from functools import partial

from flask import Blueprint, Response, request

from leaderboard import formats, params, ranking_params, rankings
from leaderboard.service import service

bp = Blueprint("rankings", __name__)


@bp.get("/score_history")
def score_history() -> Response:
    """How good has an orchestrator been, over time, or the network?"""
    query, form = ranking_params.history_query(request), formats.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    history = ranking_params.history(request, window)
    return rankings.of_history(service().events_at(*window), query, history, form)


@bp.get("/leaderboard")
def leaderboard() -> Response:
    """Who is the best?"""
    query, form = ranking_params.tables_query(request), formats.wanted(request)
    least = ranking_params.min_events(request)
    paging = ranking_params.paging(request, service().settings.start_time_window)
    return rankings.of_ranking(service().events_at(*paging.window), query, least, paging, form)


@bp.get("/orchestrators/<address>")
def orchestrator(address: str) -> Response:
    """Why is an orchestrator's score what it is?"""
    query, form = ranking_params.address_query(address), formats.wanted(request)
    window = params.window(request, service().settings.start_time_window)
    results = partial(service().results_at, query.orchestrator, *window)
    return rankings.of_orchestrator(service().events_at(*window), results, query, form)
