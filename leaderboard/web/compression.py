"""Answers compressed as the client asks."""

from flask import Flask, g, request
from flask_compress import Compress

from leaderboard.web.cache import Compressed

CODINGS = ["zstd", "br", "gzip"]
TEXT = ["application/json", "application/x-ndjson", "text/csv", "text/plain"]
"""What is compressed; Parquet is already, and Arrow is mapped into memory as it is."""


def init_app(app: Flask) -> None:
    """Compresses answers with zstd, brotli or gzip."""
    app.config.from_mapping(
        COMPRESS_MIMETYPES=TEXT,
        COMPRESS_ALGORITHM=CODINGS,
        COMPRESS_ALGORITHM_STREAMING=CODINGS,
        COMPRESS_CACHE_BACKEND=Compressed,
        # two answers with one ETag are as good as equal
        COMPRESS_CACHE_KEY=lambda request: g.answer_etag,
        # answered already, before anything is compressed
        COMPRESS_EVALUATE_CONDITIONAL_REQUEST=False,
    )
    app.before_request(heed_refusals)
    Compress(app)


def heed_refusals() -> None:
    """Drops the codings that the client refuses (q=0), which Flask-Compress takes for offers."""
    asked = request.headers.get("Accept-Encoding", "")
    if "q=0" in asked:
        wanted = (f"{coding};q={quality}" for coding, quality in request.accept_encodings if quality > 0)
        request.environ["HTTP_ACCEPT_ENCODING"] = ", ".join(wanted)
