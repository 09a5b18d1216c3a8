"""Compression of responses as the client prefers."""

from flask import Flask, g, request
from flask_compress import Compress

from leaderboard.web.caching.response_cache import CompressedBodies

CODINGS = ["zstd", "br", "gzip"]
COMPRESSED_TYPES = [
    *("application/json", "application/x-ndjson", "text/csv", "text/plain"),
    *("text/html", "text/css", "text/javascript", "image/svg+xml", "application/atom+xml"),
]
"""Parquet is compressed already, and readers map Arrow files into memory as they are."""


def init_app(app: Flask) -> None:
    """Compresses responses with zstd, brotli or gzip."""
    app.config.from_mapping(
        COMPRESS_MIMETYPES=COMPRESSED_TYPES,
        COMPRESS_ALGORITHM=CODINGS,
        COMPRESS_ALGORITHM_STREAMING=CODINGS,
        COMPRESS_CACHE_BACKEND=CompressedBodies,
        # responses with one ETag are equal but for the last bits of numbers
        COMPRESS_CACHE_KEY=lambda _: g.etag,
        # make_conditional has answered before anything is compressed
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    app.before_request(drop_refused_codings)
    Compress(app)


def drop_refused_codings() -> None:
    """Removes the codings that the client refuses (q=0) from the request; Flask-Compress would use them."""
    header = request.environ.get("HTTP_ACCEPT_ENCODING", "")
    if "q=0" in header:
        accepted = (f"{coding};q={quality}" for coding, quality in request.accept_encodings if quality > 0)
        request.environ["HTTP_ACCEPT_ENCODING"] = ", ".join(accepted)
