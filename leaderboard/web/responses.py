"""Rendered responses, and how they are cached and sent."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

from flask import Response, g, request

from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.caching.response_cache import get_readthrough
from leaderboard.web.conditional import make_conditional
from leaderboard.web.media_types import JSON
from leaderboard.web.panics import convert_panics
from queries import EventWindow

CACHE_CONTROL = "public, max-age=30, stale-while-revalidate=15"
DATA_AS_OF = "X-Data-As-Of"
EXCLUSIONS = "X-Exclusions"
"""The header with the number of exclusions that a window leaves out."""


def cached_response(key: tuple[object, ...], window: EventWindow, render: Callable[[], RenderedResponse]) -> Response:
    """Renders once for as long as the window has the same events, and sends the result.

    ``key`` identifies all that the result depends on beside the events.
    """
    response = respond(_render_once(key, window, render))
    if window.exclusions:
        response.headers[EXCLUSIONS] = str(len(window.exclusions))
    return response


def cached_results(key: tuple[object, ...], window: EventWindow, render: Callable[[], RenderedResponse]) -> Response:
    """``cached_response`` where ``render`` also reads the results that belong to the events of the window."""
    # during an outage the results may be older than the window, so the version of the window does not cover them
    version = window.version if window.as_of is None else None
    return cached_response(key, replace(window, version=version), render)


def _render_once(
    key: tuple[object, ...], window: EventWindow, render: Callable[[], RenderedResponse]
) -> RenderedResponse:
    if window.version is None:
        rendered = render()
        # a part of the rendered data may be older than the window
        return rendered._replace(as_of=rendered.as_of or window.as_of)
    rendered = get_readthrough((*key, window.version), None, render)
    # windows with equal events share a key, whenever they were read
    return rendered._replace(as_of=window.as_of)


def respond(rendered: RenderedResponse) -> Response:
    """The HTTP response, or 304 or 206 if the request asks for that.

    The ETag is weak, because the same content may be compressed in several ways.
    """
    body = rendered.body if isinstance(rendered.body, bytes) else convert_panics(rendered.body)
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        # the end of the connection would be the end of the body, so a client could not tell a part from the whole
        body = b"".join(body) if not isinstance(body, bytes) else body
    # Flask would read an iterator whole to learn its length
    is_stream = not isinstance(body, bytes)
    response = Response(body, content_type=rendered.file_format.media_type, direct_passthrough=is_stream)
    response.headers["Cache-Control"] = CACHE_CONTROL
    response.set_etag(rendered.etag, weak=True)
    if rendered.file_name:
        response.vary.add("Accept")
        if rendered.file_format != JSON:
            name = f"{rendered.file_name}.{rendered.file_format.name}"
            response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if rendered.next_cursor is not None:
        response.headers["Link"] = f'<{_url_of_page(rendered.next_cursor)}>; rel="next"'
    if rendered.as_of is not None:
        response.headers[DATA_AS_OF] = rendered.as_of.isoformat()
    g.etag = rendered.etag
    return make_conditional(response, supports_ranges=rendered.file_format.supports_ranges)


def _url_of_page(cursor: str) -> str:
    parameters = [(key, value) for key, value in request.args.items(multi=True) if key != "cursor"]
    return f"{request.script_root}{request.path}?{urlencode([*parameters, ('cursor', cursor)])}"
