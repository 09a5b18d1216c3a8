"""The nodes that a gateway may use, and the orchestrators that it does use."""

from flask import Blueprint, Response, request

import queries
from leaderboard.services import service
from leaderboard.web import params, table_params
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import negotiate
from leaderboard.web.rendering import render_discovery, render_gateway_preview, run_query
from leaderboard.web.responses import cached_response
from leaderboard.web.windows import scored_week, scored_window

bp = Blueprint("nodes", __name__)


@bp.get("/discovery")
def discovery() -> Response:
    """The list that a gateway's discovery webhook reads."""
    event_filter, options = table_params.discovery_filter(request), table_params.node_options(request)
    formula, file_format = params.formula(request, service().settings.formula), negotiate(request)
    window = scored_window(params.time_range(request, service().settings.start_time_window), formula)

    def render() -> RenderedResponse:
        least = {"min_score": options.min_score, "min_events": options.min_events}
        nodes = run_query(queries.discovery, window, event_filter, **least, formula=formula)
        return render_discovery(nodes.head(options.limit), file_format, trusted=options.trusted)

    return cached_response(("discovery", event_filter, options, formula, file_format.name), window, render)


@bp.get("/gateway_preview")
def gateway_preview() -> Response:
    """Who passes the least score of a gateway now and over a week, and who lacks tests."""
    event_filter, options = table_params.gateway_filter(request), table_params.gateway_options(request)
    formula, file_format = params.formula(request, service().settings.formula), negotiate(request)
    window, since = scored_week(service().settings.start_time_window, formula)

    def render() -> RenderedResponse:
        preview = run_query(
            queries.gateway_preview, window, event_filter, since=since, formula=formula, **options._asdict()
        )
        return render_gateway_preview(preview, event_filter, options.min_score, file_format)

    return cached_response(("gateway_preview", event_filter, options, formula, file_format.name), window, render)
