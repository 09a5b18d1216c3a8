"""Frames as files that a spreadsheet, Polars or DuckDB reads."""

import io
from typing import NamedTuple

import polars as pl
from flask import Request

from leaderboard.storage.table_formats import TableOptions, write_table
from leaderboard.web.params import InvalidParameter


class Format(NamedTuple):
    """One response format: its name, which is also the suffix of its files, and its media type.

    JSON is not a table: each endpoint has a document of its own. Clients may
    fetch ranges of a format with ``in_parts``, so its layout is fixed (see TableOptions).
    """

    name: str
    mimetype: str
    in_parts: bool = False


JSON = Format("json", "application/json")
FORMATS = (
    JSON,
    Format("csv", "text/csv", in_parts=True),
    Format("parquet", "application/vnd.apache.parquet", in_parts=True),
    Format("arrow", "application/vnd.apache.arrow.file", in_parts=True),
    Format("ndjson", "application/x-ndjson"),
)
STREAM = Format("arrows", "application/vnd.apache.arrow.stream")
"""Arrow for clients that read it while it arrives; only Accept selects it."""

_named = {form.name: form for form in FORMATS}
_accepted = {form.mimetype: form for form in (*FORMATS, STREAM)}


def wanted(request: Request) -> Format:
    """What ``format`` names, or else what Accept likes best; JSON where that is nothing we have or all the same."""
    name = request.args.get("format")
    if not name:
        return _accepted[request.accept_mimetypes.best_match(_accepted, JSON.mimetype)]
    if name not in _named:
        raise InvalidParameter(f"format must be one of {', '.join(_named)}, not {name!r}")
    return _named[name]


def file(frame: pl.DataFrame, form: Format) -> bytes | None:
    """The frame as a file; None where the format is JSON."""
    if form is JSON:
        return None
    out = io.BytesIO()
    write_table([frame], out, form.name, TableOptions(fixed_layout=form.in_parts))
    return out.getvalue()
