"""Conditional requests: 304 if the client has the content already, 206 for a range of a file."""

from flask import Response, request

from leaderboard.web.compression import CODINGS, COMPRESSED_TYPES

_CONDITIONS = {"HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE", "HTTP_IF_RANGE"}
"""The headers, as WSGI names them, that ask for something else than the whole."""


def make_conditional(response: Response, *, supports_ranges: bool) -> Response:
    """Applies If-None-Match and, where the response supports it, Range.

    werkzeug does the work on a copy of the request. The copy lacks If-Match,
    which never matches a weak ETag and would turn every GET into 412, and has
    only a Range that werkzeug handles as RFC 9110 says. Raises
    RequestedRangeNotSatisfiable for a range that begins after the end.
    """
    if not _CONDITIONS & request.environ.keys():
        # what werkzeug would do for nothing takes a tenth of the time of a small response
        if supports_ranges and request.method in ("GET", "HEAD"):
            response.headers["Accept-Ranges"] = "bytes"
        return response
    environ = request.environ.copy()
    environ.pop("HTTP_IF_MATCH", None)
    if environ.pop("HTTP_RANGE", None) and supports_ranges and (byte_range := _byte_range(response)):
        environ["HTTP_RANGE"] = byte_range
    length = response.content_length if supports_ranges else None
    response.make_conditional(environ, accept_ranges=supports_ranges, complete_length=length)
    return response


def _byte_range(response: Response) -> str | None:
    """The Range to serve; None for the whole file, which RFC 9110 always allows.

    werkzeug alone would answer 416 to several ranges, to other units, to a
    malformed range and to a suffix longer than the file. It would serve a
    range where If-None-Match asks for 304, and take a weak ETag in If-Range for
    a match.
    """
    requested = request.range
    if requested is None or requested.units != "bytes" or len(requested.ranges) != 1 or "If-Range" in request.headers:
        return None
    etag, _ = response.get_etag()
    if request.if_none_match.contains_weak(etag or "") or _is_compressed(response):
        return None
    start, _ = requested.ranges[0]
    is_longer_than_file = start < -(response.content_length or 0)
    return "bytes=0-" if is_longer_than_file else request.headers["Range"]


def _is_compressed(response: Response) -> bool:
    """Whether this client receives the response compressed, so that ranges of the plain text do not fit together."""
    return response.mimetype in COMPRESSED_TYPES and request.accept_encodings.best_match(CODINGS) is not None
