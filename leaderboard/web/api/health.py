"""Whether the service works."""

import logging

from flask import Blueprint, Response

from leaderboard.postgres.errors import MigrationError
from leaderboard.services import service
from leaderboard.web.errors import uncached_response
from leaderboard.web.rendering import encode, render_document
from leaderboard.web.responses import respond
from queries import StoreTimeout, StoreUnavailable
from queries.times import last_hours

log = logging.getLogger(__name__)

bp = Blueprint("health", __name__)


@bp.get("/health")
def health() -> Response:
    """Whether the database is available, and if not, whether scores are."""
    try:
        service().database.ping()
    except (StoreUnavailable, StoreTimeout, MigrationError) as error:
        log.warning("unhealthy: %s", error)
        postgres = {"ok": False, "error": "the database is not available"}
        return uncached_response(503, encode({"status": _status_during_outage(), "postgres": postgres}))
    return respond(render_document({"status": "ok", "postgres": {"ok": True}}))


def _status_during_outage() -> str:
    """``degraded`` if scores are still available, as of an earlier moment, else ``down``."""
    try:
        service().events_at(*last_hours(service().settings.start_time_window))
    except (StoreUnavailable, StoreTimeout, MigrationError):
        return "down"
    return "degraded"
