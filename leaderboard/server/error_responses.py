"""Responses of the server itself, to requests that never reach the app. They have the app's error body."""

import gunicorn.util

from leaderboard.web.error_body import ERROR_HEADERS, error_body

RETRY_AFTER_SECONDS = 5


def error_response(status: int, reason: str, sentence: str) -> bytes:
    """The whole response, after which the connection closes. A 503 says when to try again."""
    body = error_body(sentence)
    headers = {"Date": gunicorn.util.http_date(), "Connection": "close", "Content-Length": len(body)} | ERROR_HEADERS
    if status == 503:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body
