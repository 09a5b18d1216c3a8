"""The HTTP response to each error."""

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from leaderboard.postgres.errors import MigrationError
from leaderboard.results.auth import NotAuthenticated
from leaderboard.results.batches import MAX_BATCH_BYTES
from leaderboard.results.validation import InvalidResult
from leaderboard.services import service
from leaderboard.web.error_body import ERROR_HEADERS, error_body
from leaderboard.web.pages.layout.error_page import error_page, wants_page
from leaderboard.web.params import InvalidParameter
from queries import StoreTimeout, StoreUnavailable
from queries.errors import OutcomeUnknown, ReadOnlyDatabase, first_line

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


def init_app(app: Flask) -> None:
    """Answers every error of the app with the error body."""
    app.register_error_handler(InvalidParameter, lambda error: error_response(400, str(error)))
    app.register_error_handler(InvalidResult, lambda error: error_response(400, str(error)))
    app.register_error_handler(NotAuthenticated, lambda error: error_response(403, str(error)))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OutcomeUnknown, _outcome_unknown)
    app.register_error_handler(StoreTimeout, _timeout)
    app.register_error_handler(ReadOnlyDatabase, _read_only)
    app.register_error_handler(StoreUnavailable, _unavailable)
    app.register_error_handler(MigrationError, _unavailable)
    app.register_error_handler(Exception, _unexpected)


def error_response(status: int, sentence: str) -> Response:
    """A response with the error body, or the page about the error if a page was asked for."""
    if wants_page(request):
        return _tell_when_to_retry(error_page(status, sentence))
    return uncached_response(status, error_body(sentence))


def uncached_response(status: int, body: bytes) -> Response:
    """A response with a JSON body that says what is wrong, and when to try again."""
    return _tell_when_to_retry(Response(body, status, ERROR_HEADERS))


def _tell_when_to_retry(response: Response) -> Response:
    if response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _timeout(error: Exception) -> Response:
    _note(504, error)
    return error_response(504, "the database did not answer in time, ask for a shorter window or try again later")


def _outcome_unknown(error: Exception) -> Response:
    _note(504, error)
    return error_response(504, "the database did not confirm in time; what was posted may have been stored or not")


def _read_only(error: Exception) -> Response:
    if request.method != "POST":
        return _unavailable(error)
    _note(503, error)
    return error_response(503, "the database is read-only at the moment, so nothing was stored; try again later")


def _unavailable(error: Exception) -> Response:
    _note(503, error)
    return error_response(503, "the database is not available, try again later")


def _unexpected(error: Exception) -> Response:
    place = _place_of(error)
    service().failure_log.add(
        place,
        "unexpected error",
        lambda number, seconds: (
            f"unexpected error {number} more times within {seconds:.0f} s, the last time {first_line(error)!r} "
            f"in {place}"
        ),
        error,
    )
    return error_response(500, "unexpected error of the service; see its log")


def _note(status: int, error: Exception) -> None:
    reason = first_line(error)
    log.debug("answering %s: %s", status, reason)
    service().failure_log.add(
        f"{status} {type(error).__name__}",
        f"answering {status}: {reason}",
        lambda number, seconds: (
            f"answered {status} to {number} more requests within {seconds:.0f} s, to the last one because: {reason}"
        ),
    )


def _place_of(error: Exception) -> str:
    """Where the error was raised, of which there are few."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = "" if frame is None else f" {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
    return f"{type(error).__name__}{place}"


def _http_error(error: HTTPException) -> Response:
    response = error_response(error.code or 500, _sentence(error))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _sentence(error: HTTPException) -> str:
    match error:
        case NotFound():
            return "there is no such page" if wants_page(request) else "unknown endpoint; see docs/http-api.md"
        case MethodNotAllowed():
            return f"this endpoint takes {', '.join(sorted(error.valid_methods or ()))}"
        case RequestEntityTooLarge() if error.description == RequestEntityTooLarge.description:
            return f"the body is larger than {MAX_BATCH_BYTES} bytes, the limit for a batch of results"
        case _:
            return error.description or error.name
