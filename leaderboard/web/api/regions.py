"""The regions, and whether the service is well."""

import logging

from flask import Blueprint, Response

from leaderboard.postgres.errors import MigrationError
from leaderboard.services import service
from leaderboard.web import errors, responses
from queries import StoreTimeout, StoreUnavailable
from queries.times import last_hours

log = logging.getLogger(__name__)

bp = Blueprint("registry", __name__)


@bp.get("/regions")
def regions() -> Response:
    """Where are jobs tested from?"""
    known = service().regions.all()
    return responses.of_document({"regions": known.regions}, known.as_of)


@bp.get("/health")
def health() -> Response:
    """Is the database there, and if not, is anything answered?"""
    try:
        service().database.ping()
    except (StoreUnavailable, StoreTimeout, MigrationError):
        log.warning("unhealthy: the database is not available")
        postgres = {"ok": False, "error": "the database is not available"}
        return errors.respond(503, responses.encode({"status": _status(), "postgres": postgres}))
    return responses.of_document({"status": "ok", "postgres": {"ok": True}})


def _status() -> str:
    """``degraded`` where questions are answered all the same, as of some moment, else ``down``."""
    try:
        service().events_at(*last_hours(service().settings.start_time_window))
    except (StoreUnavailable, StoreTimeout, MigrationError):
        return "down"
    return "degraded"
