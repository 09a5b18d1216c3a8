"""Results of jobs: testers post them, and anybody reads them back."""

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

import queries
from leaderboard.results import auth, batches
from leaderboard.results.validation import MAX_RESULT_BYTES
from leaderboard.services import service
from leaderboard.web import params
from leaderboard.web.media_types import negotiate
from leaderboard.web.rendering import render_results, run_query
from leaderboard.web.request_body import read_body
from leaderboard.web.responses import respond

bp = Blueprint("results", __name__)


@bp.get("/raw_stats")
def raw_stats() -> Response:
    """The results of an orchestrator as they were posted, newest first."""
    (orchestrator, event_filter), file_format = params.results_filter(request), negotiate(request)
    time_range = params.time_range(request, service().settings.start_time_window)
    window = service().results_at(orchestrator, *time_range, event_filter.job_type)
    frame = run_query(queries.raw_stats, window, event_filter)
    return respond(render_results(frame, event_filter.job_type, file_format)._replace(as_of=window.as_of))


@bp.post("/post_stats")
def post_stats() -> Response:
    """Stores one signed result, or a batch of them. They are committed before the response is sent."""
    body = read_body(request)
    auth.authenticate(service().settings.secret, body, request.headers.get("Authorization", ""))
    if (results := batches.split(body, request.mimetype)) is not None:
        service().result_writer.store_batch(results)
    elif len(body) > MAX_RESULT_BYTES:
        raise RequestEntityTooLarge(f"a result is larger than {MAX_RESULT_BYTES} bytes")
    else:
        service().result_writer.store(body)
    return Response("ok", mimetype="text/plain")
