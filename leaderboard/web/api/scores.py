"""Scores of orchestrators: now, over time, and what is scored."""

import polars as pl
from flask import Blueprint, Response, request

import queries
from leaderboard.serializers import serialize_formulas
from leaderboard.services import service
from leaderboard.web import params, table_params
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.caching.response_cache import get_readthrough
from leaderboard.web.media_types import negotiate
from leaderboard.web.rendering import (
    render_document,
    render_history,
    render_network_stats,
    render_pipelines,
    render_scores,
    render_top_score,
    run_aggregated_stats,
    run_query,
)
from leaderboard.web.responses import cached_response, respond
from leaderboard.web.windows import scored_window
from queries import times

bp = Blueprint("scores", __name__)


@bp.get("/aggregated_stats")
def aggregated_stats() -> Response:
    """The scores of each orchestrator in each region."""
    event_filter, file_format = params.scores_filter(request), negotiate(request)
    formula = params.formula(request, service().settings.formula)
    window = scored_window(params.time_range(request, service().settings.start_time_window), formula)

    def render() -> RenderedResponse:
        frame = run_aggregated_stats(window, event_filter, formula)
        return render_scores(frame, event_filter.job_type, file_format)

    return cached_response(("aggregated_stats", event_filter, formula, file_format.name), window, render)


@bp.get("/score_history")
def score_history() -> Response:
    """Scores per interval of time, of some orchestrators or of the whole network."""
    event_filter, file_format = table_params.history_filter(request), negotiate(request)
    time_range = params.time_range(request, service().settings.start_time_window)
    options = table_params.history_options(request, time_range)
    formula = params.formula(request, service().settings.formula)
    window = scored_window(time_range, formula)

    def render() -> RenderedResponse:
        def query(events: pl.LazyFrame) -> pl.LazyFrame:
            history = queries.score_history(
                events,
                event_filter,
                interval=options.interval,
                orchestrators=options.orchestrators,
                group_columns=options.group_columns,
                formula=formula,
            )
            return history.drop(*queries.SUM_COLUMNS)

        return render_history(window.collect(query), options.interval, file_format)

    return cached_response(("score_history", event_filter, options, formula, file_format.name), window, render)


@bp.get("/network_stats")
def network_stats() -> Response:
    """How much was tested, and how it went, by region, orchestrator, pipeline and model."""
    event_filter, file_format = params.model_filter(request), negotiate(request)
    group_columns = table_params.network_groups(request)
    formula = params.formula(request, service().settings.formula)
    window = scored_window(params.time_range(request, service().settings.start_time_window), formula)

    def render() -> RenderedResponse:
        options = {"group_columns": group_columns, "formula": formula}
        frame = run_query(queries.network_stats, window, event_filter, **options)
        return render_network_stats(frame, event_filter.job_type, file_format)

    return cached_response(("network_stats", event_filter, group_columns, formula, file_format.name), window, render)


@bp.get("/top_ai_score")
def top_ai_score() -> Response:
    """The AI job in which an orchestrator is best."""
    event_filter = params.top_score_filter(request)
    formula = params.formula(request, service().settings.formula)
    window = scored_window(times.last_hours(service().settings.start_time_window), formula)

    def render() -> RenderedResponse:
        return render_top_score(run_query(queries.top_ai_score, window, event_filter, formula=formula))

    return cached_response(("top_ai_score", event_filter, formula), window, render)


@bp.get("/formulas")
def formulas() -> Response:
    """The released formulas, in words and as data."""
    default = service().settings.formula
    return respond(render_document(serialize_formulas(default)))


@bp.get("/pipelines")
def pipelines() -> Response:
    """The AI pipelines that were tested, with their models and regions."""
    settings = service().settings
    event_filter = params.pipelines_filter(request)
    time_range = params.time_range(request, settings.start_time_window)

    def render() -> RenderedResponse:
        window = service().events.window(*time_range)
        return render_pipelines(run_query(queries.pipelines, window, event_filter), window.as_of)

    # what the bounds were given as, since a window that ends now is another one for each request
    given = params.moment(request, "since"), params.moment(request, "until"), request.args.get("window")
    key = ("pipelines", event_filter, *given)
    return respond(get_readthrough(key, settings.pipelines_cache_timeout, render))
