"""Results of jobs: testers post them, and anybody reads them back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

import queries
from leaderboard.request_clock import request_began
from leaderboard.results import auth, batches
from leaderboard.results.auth import NotAuthenticated
from leaderboard.results.deadlines import post_deadline
from leaderboard.results.validation import MAX_RESULT_BYTES, InvalidResult, UnknownRegion
from leaderboard.services import service
from leaderboard.web import params
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.media_types import negotiate
from leaderboard.web.rendering import render_results, run_query
from leaderboard.web.request_body import read_body
from leaderboard.web.responses import cached_results
from leaderboard.web.windows import common_as_of

bp = Blueprint("results", __name__)


@bp.get("/raw_stats")
def raw_stats() -> Response:
    """The results of an orchestrator as they were posted, newest first."""
    (orchestrator, event_filter), file_format = params.results_filter(request), negotiate(request)
    time_range = params.time_range(request, service().settings.start_time_window)
    # its version changes with the results, and it reads nothing
    window = service().events.window(*time_range)

    def render() -> RenderedResponse:
        results = service().events.results(orchestrator, *time_range, event_filter.job_type)
        # these are of one orchestrator, so the same plan serves all
        frame = run_query(queries.raw_stats, results, replace(event_filter, orchestrator=None))
        rendered = render_results(frame, event_filter.job_type, file_format)
        return rendered._replace(as_of=common_as_of(window, results))

    return cached_results(("raw_stats", event_filter, file_format.name), window, render)


@bp.post("/post_stats")
def post_stats() -> Response:
    """Stores one signed result, or a batch of them. They are committed before the response is sent."""
    began = request_began()
    with note_refusal():
        body = read_body(request)
        auth.authenticate(service().settings.secret, body, request.headers.get("Authorization", ""))
        deadline = post_deadline(began, time.monotonic(), len(body))
        if (results := batches.split(body, request.mimetype)) is None and len(body) > MAX_RESULT_BYTES:
            raise RequestEntityTooLarge(f"a result is larger than {MAX_RESULT_BYTES} bytes")
        writer = service().writer_by(deadline)
        if results is None:
            writer.store(body, deadline)
        else:
            writer.store_batch(results, deadline)
    return Response("ok", mimetype="text/plain")


@contextmanager
def note_refusal() -> Iterator[None]:
    """Logs a refused post with its sender, and counts it if its region is refused."""
    try:
        yield
    except (NotAuthenticated, InvalidResult, RequestEntityTooLarge) as error:
        reason = error.description or "" if isinstance(error, RequestEntityTooLarge) else str(error)
        service().refusal_log.add(_kind_of(error), reason, _sender())
        if isinstance(error, UnknownRegion):
            service().refused_regions.add(error.region, error.job_type)
        raise


def _kind_of(error: Exception) -> str:
    match error:
        case NotAuthenticated():
            return "a wrong signature"
        case UnknownRegion():
            return "an unknown region"
        case _:
            return "an invalid result"


def _sender() -> str:
    forwarded = request.headers.get("X-Forwarded-For")
    address = request.remote_addr or "an unknown address"
    return f"{address} (for {forwarded})" if forwarded else address
