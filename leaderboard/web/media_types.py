"""The formats of responses, and which one a request asks for."""

import io
from typing import NamedTuple

import polars as pl
from flask import Request

from leaderboard.storage.table_formats import TableOptions, write_table
from leaderboard.web.params import InvalidParameter
from queries.errors import quote


class Format(NamedTuple):
    """A response format: its name, which is also the suffix of its files, and its media type.

    JSON is not a table: each endpoint has a document of its own. Clients may
    fetch ranges of a format with ``supports_ranges``, so its layout is fixed
    (see TableOptions).
    """

    name: str
    media_type: str
    supports_ranges: bool = False


JSON = Format("json", "application/json")
FORMATS = (
    JSON,
    Format("csv", "text/csv", supports_ranges=True),
    Format("parquet", "application/vnd.apache.parquet", supports_ranges=True),
    Format("arrow", "application/vnd.apache.arrow.file", supports_ranges=True),
    Format("ndjson", "application/x-ndjson", supports_ranges=True),
)
ARROW_STREAM = Format("arrows", "application/vnd.apache.arrow.stream")
"""Arrow for clients that read a response while it arrives. Only the Accept header selects it."""

HTML = Format("html", "text/html; charset=utf-8")
"""Of pages, which no other endpoint answers."""
SVG = Format("svg", "image/svg+xml")
ATOM = Format("atom", "application/atom+xml; charset=utf-8")

ALL_FORMATS = (*FORMATS, ARROW_STREAM)
PAGE_FORMATS = (HTML, SVG, ATOM)

_BY_NAME = {file_format.name: file_format for file_format in FORMATS}
_BY_MEDIA_TYPE = {file_format.media_type: file_format for file_format in ALL_FORMATS}


def negotiate(request: Request) -> Format:
    """The format that the parameter ``format`` names, else the one that Accept prefers, else JSON.

    Raises InvalidParameter for an unknown name.
    """
    name = request.args.get("format")
    if not name:
        return _BY_MEDIA_TYPE[request.accept_mimetypes.best_match(_BY_MEDIA_TYPE, JSON.media_type)]
    if name not in _BY_NAME:
        raise InvalidParameter(f"format must be one of {', '.join(_BY_NAME)}, not {quote(name)}")
    return _BY_NAME[name]


def encode_table(frame: pl.DataFrame, file_format: Format) -> bytes:
    """The frame as a file in any format but JSON."""
    out = io.BytesIO()
    write_table([frame], out, file_format.name, TableOptions(fixed_layout=file_format.supports_ranges))
    return out.getvalue()
