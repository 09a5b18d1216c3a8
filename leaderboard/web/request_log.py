"""Logs every request at the level DEBUG."""

import logging
import time

from flask import Flask, Response, g, request

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Logs method, path, status and duration of the app's requests."""
    app.before_request(_start_timer)
    app.after_request(_log_request)


def _start_timer() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    if not log.isEnabledFor(logging.DEBUG):
        return response
    milliseconds = (time.perf_counter() - g.started) * 1000
    path = request.full_path.rstrip("?")
    log.debug("%s %r: %s in %.1f ms", request.method, path, response.status_code, milliseconds)
    return response
