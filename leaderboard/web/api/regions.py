"""The regions from which jobs are tested."""

from flask import Blueprint, Response

from leaderboard.services import service
from leaderboard.web.rendering import render_document
from leaderboard.web.responses import respond

bp = Blueprint("regions", __name__)


@bp.get("/regions")
def regions() -> Response:
    """All registered regions."""
    registered = service().region_list()
    return respond(render_document({"regions": registered.regions}, registered.as_of))
