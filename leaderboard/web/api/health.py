"""Whether the service works."""

from flask import Blueprint, Response

from leaderboard.health import DOWN
from leaderboard.services import service
from leaderboard.web.errors import uncached_response
from leaderboard.web.rendering import encode, render_document
from leaderboard.web.responses import respond

bp = Blueprint("health", __name__)


@bp.get("/health")
def health() -> Response:
    """What works and what does not. 503 only where questions cannot be answered, so that a probe ends no other."""
    report = service().health.report()
    if report.status == DOWN:
        return uncached_response(503, encode(report.document))
    response = respond(render_document(report.document))
    response.headers["Cache-Control"] = "no-store"
    return response
