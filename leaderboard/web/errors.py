"""What each error is to a client."""

import contextlib
import logging
import time

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from leaderboard.postgres.errors import MigrationError
from leaderboard.results.batches import MAX_BATCH
from leaderboard.results.validation import InvalidResult
from leaderboard.results.writer import NotAuthenticated
from leaderboard.web.error_body import ERROR_HEADERS, error_body
from leaderboard.web.params import InvalidParameter
from queries import StoreTimeout, StoreUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which a client may ask again while the database is away."""
HEARD_OUT, HEARD_OUT_SECONDS = 32 << 20, 10
"""Bytes of a refused body that are read, and for how long; a client that sends more is cut off."""


def init_app(app: Flask) -> None:
    """Answers every error of the app with the error body."""
    app.register_error_handler(InvalidParameter, lambda error: answer(400, str(error)))
    app.register_error_handler(InvalidResult, lambda error: answer(400, str(error)))
    app.register_error_handler(NotAuthenticated, lambda error: answer(403, str(error)))
    app.register_error_handler(StoreUnavailable, _unavailable)
    app.register_error_handler(StoreTimeout, _timeout)
    app.register_error_handler(MigrationError, _unavailable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_hear_out)


def answer(status: int, sentence: str) -> Response:
    """The error body with its status."""
    return respond(status, error_body(sentence))


def respond(status: int, body: bytes) -> Response:
    """A JSON document that tells of something wrong."""
    response = Response(body, status, ERROR_HEADERS)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER)
    return response


def _hear_out(response: Response) -> Response:
    """Reads what is left of a refused body: a client that still sends would find the connection cut, not the answer."""
    if response.status_code >= 400:
        left, end = HEARD_OUT, time.monotonic() + HEARD_OUT_SECONDS
        # whatever the server's reader raises, there is no more to read
        with contextlib.suppress(Exception):
            while left > 0 and time.monotonic() < end:
                part = request.environ["wsgi.input"].read(min(left, 1 << 16))
                left -= len(part) or left
    return response


def _unavailable(error: StoreUnavailable | MigrationError) -> Response:
    log.warning("database not available: %s", _reason(error))
    return answer(503, "the database is not available, try again later")


def _reason(error: Exception) -> str:
    """What a driver said, on one line, or what we say ourselves."""
    cause = getattr(error.__cause__, "orig", None) or error.__cause__
    return " ".join(str(cause).split()) if cause and str(cause).strip() else str(error)


def _timeout(error: StoreTimeout) -> Response:
    log.warning("database too slow: %s", _reason(error))
    return answer(504, "the database did not answer in time, ask for a shorter window or try again later")


def _http(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()
    sentence = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        # what we say ourselves, or the library's sentence
        own = sentence != RequestEntityTooLarge.description
        sentence = sentence if own else f"the body is larger than {MAX_BATCH} bytes, the most for a batch of results"
    elif error.code == 404:
        sentence = "there is nothing here; the endpoints begin with /api/, see the README"
    elif error.code == 405:
        sentence = f"this endpoint takes {', '.join(sorted(error.valid_methods or ()))}"
    response = answer(error.code, sentence)
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return answer(500, "the service met an error of its own; its log says more")
