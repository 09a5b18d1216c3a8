"""The ranking of orchestrators, and all about one of them."""

import polars as pl
from flask import Blueprint, Response, request

import queries
from leaderboard.services import service
from leaderboard.web import params, table_params
from leaderboard.web.caching.incidents import incident_range
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import negotiate
from leaderboard.web.rendering import render_explanation, render_orchestrator, render_ranking
from leaderboard.web.responses import cached_response, cached_results
from leaderboard.web.windows import OrchestratorTables, common_as_of, explain, scored_window, select_events
from queries import EventFilter

bp = Blueprint("rankings", __name__)


@bp.get("/leaderboard")
def leaderboard() -> Response:
    """A page of the ranking of orchestrators."""
    event_filter, file_format = params.model_filter(request), negotiate(request)
    min_events = table_params.min_events(request)
    formula = params.formula(request, service().settings.formula)
    paging = table_params.paging(request, service().settings.start_time_window, formula)
    window = scored_window(paging.time_range, formula)

    def render() -> RenderedResponse:
        def query(events: pl.LazyFrame) -> pl.LazyFrame:
            return queries.ranking(events, event_filter, min_events=min_events, formula=formula)

        ranking = window.collect(query)
        return render_ranking(ranking, paging, file_format)

    key = ("leaderboard", event_filter, formula, min_events, paging.cache_key, file_format.name)
    return cached_response(key, window, render)


@bp.get("/orchestrators/<address>")
def orchestrator(address: str) -> Response:
    """The jobs of an orchestrator, how well it and each of its nodes did them, and the errors it met."""
    address, file_format = table_params.parse_address(address), negotiate(request)
    event_filter = EventFilter(orchestrator=address, warm=params.warm(request))
    formula = params.formula(request, service().settings.formula)
    time_range = params.time_range(request, service().settings.start_time_window)
    window = scored_window(time_range, formula)

    def render() -> RenderedResponse:
        # loaded first, so that the results have all of its events
        tables = OrchestratorTables(window, event_filter, formula)
        results = service().events.results(address, *time_range, None, with_errors=True)
        same_results = select_events(results.load(), tables.events, event_filter)
        errors, classes = queries.orchestrator_error_tables(same_results, event_filter)
        as_of = common_as_of(window, results)
        rendered = render_orchestrator(address, tables.jobs(), errors, classes, tables.nodes(), file_format)
        return rendered._replace(as_of=as_of)

    return cached_results(("orchestrators", event_filter, formula, file_format.name), window, render)


@bp.get("/orchestrators/<address>/explanation")
def explanation(address: str) -> Response:
    """Why an orchestrator has its score."""
    event_filter = table_params.explanation_filter(request, address)
    formula = params.formula(request, service().settings.formula)
    time_range = params.time_range(request, service().settings.start_time_window)
    window = scored_window(time_range, formula)

    def render() -> RenderedResponse:
        explained = explain(window, time_range, event_filter, formula)
        return render_explanation(explained.why)._replace(as_of=explained.as_of)

    return cached_results(("explanation", event_filter, formula, incident_range(time_range)), window, render)
