"""Lets pages of any origin read the answers."""

from flask import Flask, Response, request

HEADERS = "Accept, Content-Type, Content-Length, Accept-Encoding, Authorization"
METHODS = "GET, POST, OPTIONS"
READABLE = "ETag, Link, Content-Disposition, Retry-After, X-Data-As-Of"


def init_app(app: Flask) -> None:
    """Marks every answer, errors included, and answers preflights."""
    app.after_request(allow)


def allow(response: Response) -> Response:
    """The response with the headers that let any page read it."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = HEADERS
        response.headers["Access-Control-Max-Age"] = "86400"
    else:
        response.headers["Access-Control-Expose-Headers"] = READABLE
    return response
