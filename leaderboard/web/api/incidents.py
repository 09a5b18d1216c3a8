"""What went wrong at a tester, and what is left out of scores because of it."""

from flask import Blueprint, Response, request

from leaderboard.serializers import serialize_exclusions
from leaderboard.services import service
from leaderboard.web import table_params
from leaderboard.web.rendering import render_document
from leaderboard.web.responses import respond

bp = Blueprint("incidents", __name__)


@bp.get("/exclusions")
def exclusions() -> Response:
    """The spans of time whose results are left out of scores."""
    listed = service().exclusion_list(with_removed=table_params.includes_removed(request))
    return respond(render_document(serialize_exclusions(listed.exclusions), listed.as_of))
