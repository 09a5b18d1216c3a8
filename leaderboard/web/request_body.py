"""Reads the bodies of requests, including refused ones."""

import contextlib
import time

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from leaderboard.results.batches import MAX_BATCH_BYTES
from leaderboard.results.validation import InvalidResult

MAX_DRAIN_BYTES, MAX_DRAIN_SECONDS = 32 << 20, 10
"""How much of a refused body is read. The connection is cut if the client sends more or takes longer."""
CHUNK_BYTES = 1 << 16


def init_app(app: Flask) -> None:
    """Limits the size of bodies, and reads refused bodies to their end."""
    # one byte more than is allowed, so that a chunked body that is too large can be told from one that fits
    app.config["MAX_CONTENT_LENGTH"] = MAX_BATCH_BYTES + 1
    app.after_request(drain)


def read_body(request: Request) -> bytes:
    """The whole body. Raises InvalidResult if it breaks off, and RequestEntityTooLarge above MAX_BATCH_BYTES."""
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    # each WSGI server raises its own errors for a body that breaks off
    except Exception as error:
        raise InvalidResult("the body did not arrive completely") from error
    if len(body) > MAX_BATCH_BYTES:
        raise RequestEntityTooLarge
    return body


def drain(response: Response) -> Response:
    """Reads the rest of a refused body. A client that is still sending would find the connection cut, not the error."""
    if response.status_code >= 400:
        left, deadline = MAX_DRAIN_BYTES, time.monotonic() + MAX_DRAIN_SECONDS
        # if the server's reader fails, there is nothing left to read
        with contextlib.suppress(Exception):
            while left > 0 and time.monotonic() < deadline:
                chunk = request.environ["wsgi.input"].read(min(left, CHUNK_BYTES))
                left -= len(chunk) or left
    return response
