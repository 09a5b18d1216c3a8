"""The headers of pages, and the path under which a proxy serves them."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""A page loads and runs only what this service serves as a file of its own, whatever testers posted."""
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PREFIX_HEADER = "X-Forwarded-Prefix"
# a path on this host, and no address of another one: //host is none
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){1,8}/?")

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def secure(response: Response) -> Response:
    """The response with the headers of pages."""
    response.headers.update(SECURITY_HEADERS)
    response.vary.add(PREFIX_HEADER)
    return response


def follow_prefix(app: Flask) -> None:
    """Makes links begin with the path that a proxy names in X-Forwarded-Prefix and takes off the requests."""
    inner: WsgiApp = app.wsgi_app

    def with_prefix(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "")
        if _PREFIX.fullmatch(prefix) and not environ.get("SCRIPT_NAME"):
            environ["SCRIPT_NAME"] = prefix.rstrip("/")
        return inner(environ, start_response)

    app.wsgi_app = with_prefix  # type: ignore[method-assign]
