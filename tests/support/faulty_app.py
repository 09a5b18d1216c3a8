"""The service with endpoints that fail, as a WSGI app for gunicorn."""

import random
from collections.abc import Iterator

import polars as pl

from leaderboard.app import create_app
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.caching.response_cache import get_readthrough
from leaderboard.web.responses import respond
from queries import StoreUnavailable

PARTS = [random.Random(number).randbytes(1 << 20).hex().encode() for number in range(2)]
"""Long enough to be sent in part, even if compressed."""

app = create_app()


def _break_off(error: BaseException) -> Iterator[bytes]:
    yield from PARTS
    raise error


@app.get("/panic")
def panic() -> object:
    """A panic in a view."""
    raise pl.exceptions.PanicException("index out of bounds")


@app.get("/shared-panic")
def shared_panic() -> object:
    """A panic in a call that several requests share."""
    return get_readthrough("panic", None, panic)


@app.get("/panic-in-stream")
def panic_in_stream() -> object:
    """A panic after the first parts of a body were sent."""
    return respond(RenderedResponse(_break_off(pl.exceptions.PanicException("index out of bounds")), "e"))


@app.get("/error-in-stream")
def error_in_stream() -> object:
    """An outage after the first parts of a body were sent."""
    return respond(RenderedResponse(_break_off(StoreUnavailable("gone")), "e"))
