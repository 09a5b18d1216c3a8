"""Cross-origin access: pages of any origin may read the responses, but for what only operators read."""

from flask import Flask, Response, request

ALLOWED_HEADERS = (
    "Accept, Content-Type, Content-Length, Accept-Encoding, Authorization, "
    # readers of Parquet in a page fetch ranges, and check what they have already
    "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Cache-Control, Pragma"
)
ALLOWED_METHODS = "GET, POST, OPTIONS"
"""A page may always use HEAD, whether it is listed or not."""
EXPOSED_HEADERS = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Encoding, Content-Length, Content-Range, Date, ETag, Link, "
    "Retry-After, Vary, X-Data-As-Of, X-Exclusions"
)
MAX_AGE_SECONDS = 86400
PRIVATE_ENDPOINTS = {"pages.status"}
"""What a page of another origin must not read through the browser of somebody inside a private network."""


def init_app(app: Flask) -> None:
    """Allows the responses of the app, errors included, and answers preflights."""
    app.after_request(allow_any_origin)


def allow_any_origin(response: Response) -> Response:
    """The response with the headers that let pages of any origin read it, unless it is a private one."""
    if request.endpoint in PRIVATE_ENDPOINTS:
        return response
    response.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
    else:
        response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    return response
