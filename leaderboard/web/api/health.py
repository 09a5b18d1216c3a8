"""Whether the service works."""

import logging

from flask import Blueprint, Response

from leaderboard.health import DOWN
from leaderboard.services import service
from leaderboard.web.errors import uncached_response
from leaderboard.web.rendering import encode

log = logging.getLogger(__name__)

bp = Blueprint("health", __name__)


@bp.get("/health")
def health() -> Response:
    """What works and what does not. 503 only where questions cannot be answered, so that a probe ends no other."""
    report = service().health.report()
    return uncached_response(503 if report.status == DOWN else 200, encode(report.document))
