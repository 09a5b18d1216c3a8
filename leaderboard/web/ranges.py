"""Parts of a file: how Polars and DuckDB read Parquet and Arrow from a URL."""

import re

from flask import Request, Response
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from leaderboard.web.compression import CODINGS, TEXT

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def cut(response: Response, request: Request) -> None:
    """Leaves of a file the one range of bytes that is asked for, if any, with 206.

    Raises RequestedRangeNotSatisfiable where that begins after its end. Several
    ranges, one of a text that may be compressed for this client, and one under
    a condition, which a weak ETag never meets, are answered with the whole, as
    RFC 9110 allows.
    """
    response.headers["Accept-Ranges"] = "bytes"
    match = RANGE.fullmatch(request.headers.get("Range", "").replace(" ", ""))
    compressed = response.mimetype in TEXT and any(coding in CODINGS for coding, _ in request.accept_encodings)
    if match is None or match.group() == "bytes=-" or compressed or "If-Range" in request.headers:
        return
    body, (first, last) = response.get_data(), match.groups()
    length = len(body)
    # the last so many bytes, or from one on
    begin = int(first) if first else max(0, length - int(last))
    end = min(int(last) + 1, length) if first and last else length
    if begin >= length:
        raise RequestedRangeNotSatisfiable(length)
    if begin < end:
        response.set_data(body[begin:end])
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{length}"
