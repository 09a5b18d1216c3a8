"""Tells of every request at the level DEBUG."""

import logging
import time

from flask import Flask, Response, g, request

log = logging.getLogger(__name__)


def init_app(app: Flask) -> None:
    """Logs method, path, status and milliseconds of the app's requests."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    took = (time.perf_counter() - g.began) * 1000
    log.debug("%s %r: %s in %.1f ms", request.method, request.full_path.rstrip("?"), response.status_code, took)
    return response
