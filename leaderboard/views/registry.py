"""The regions, and whether the service is well."""

import logging

from flask import Blueprint, Response

from leaderboard import answers, errors
from leaderboard.migration_files import MigrationError
from leaderboard.service import service
from queries import StoreTimeout, StoreUnavailable

log = logging.getLogger(__name__)

bp = Blueprint("registry", __name__)


@bp.get("/regions")
def regions() -> Response:
    """Where are jobs tested from?"""
    return answers.of_document({"regions": service().regions.all()})


@bp.get("/health")
def health() -> Response:
    """Is the database there?"""
    try:
        service().database.ping()
    except (StoreUnavailable, StoreTimeout, MigrationError):
        log.warning("unhealthy: the database is not available")
        return errors.respond(
            503, answers.encode({"postgres": {"ok": False, "error": "the database is not available"}})
        )
    return answers.of_document({"postgres": {"ok": True}})
