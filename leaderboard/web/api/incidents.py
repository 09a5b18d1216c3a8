"""What went wrong at a tester, and what is left out of scores because of it."""

from flask import Blueprint, Response, request

import queries
from leaderboard.serializers import serialize_exclusions
from leaderboard.services import service
from leaderboard.web import params, table_params
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import negotiate
from leaderboard.web.rendering import render_document, render_incidents
from leaderboard.web.responses import cached_response, respond

DEFAULT_HOURS = 168
"""Of the window. One day would not tell what is usual."""

bp = Blueprint("incidents", __name__)


@bp.get("/incidents")
def incidents() -> Response:
    """The spans in which one region's tester, and not the network, was at fault."""
    selection, file_format = params.incident_filter(request), negotiate(request)
    window = service().events.window(*params.time_range(request, DEFAULT_HOURS))

    def render() -> RenderedResponse:
        events = window.collect(lambda events: events.select(queries.INCIDENT_EVENT_COLUMNS))
        return render_incidents(queries.incidents(events, **selection), file_format)

    return cached_response(("incidents", selection, file_format.name), window, render)


@bp.get("/exclusions")
def exclusions() -> Response:
    """The spans of time whose results are left out of scores."""
    listed = service().exclusion_list(with_removed=table_params.includes_removed(request))
    return respond(render_document(serialize_exclusions(listed.exclusions), listed.as_of))
