"""Frames as files that a spreadsheet, Polars or DuckDB reads."""

import io
from collections.abc import Callable
from typing import NamedTuple

import polars as pl
import pyarrow.parquet
from flask import Request

from leaderboard.web.params import InvalidParameter
from queries.times import RFC_3339_FORMAT

FORMULA = r"^[=+\-@\t\r]"
"""How text begins that a spreadsheet may take for a formula."""
DECIMALS = 12
"""Of numbers in CSV."""


class Format(NamedTuple):
    """One way to answer: its name, which ends a file's name too, its media type, and what writes a frame in it.

    JSON is no file: each question has a document of its own. ``in_parts`` is
    whether readers may fetch ranges of it. These may come from several
    workers, whose means differ in their last bits, so a number takes the same
    space whatever these are.
    """

    name: str
    mimetype: str
    write: Callable[[pl.DataFrame], bytes] | None = None
    in_parts: bool = False


def _csv(frame: pl.DataFrame) -> bytes:
    # testers choose the names of models and errors, and whoever opens the file must not run them
    text = pl.col(pl.String)
    safe = pl.when(text.str.contains(FORMULA)).then(pl.lit("'") + text).otherwise(text).name.keep()
    return frame.with_columns(safe).write_csv(datetime_format=RFC_3339_FORMAT, float_precision=DECIMALS).encode()


def _parquet(frame: pl.DataFrame) -> bytes:
    # see Format: numbers are written plain
    file, table = io.BytesIO(), frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    text = frame.select(pl.col(pl.String)).columns
    codecs = {name: "zstd" if name in text else "none" for name in frame.columns}
    pyarrow.parquet.write_table(table, file, use_dictionary=text, compression=codecs)
    return file.getvalue()


def _written(write: Callable[[pl.DataFrame, io.BytesIO], object]) -> Callable[[pl.DataFrame], bytes]:
    def _bytes(frame: pl.DataFrame) -> bytes:
        file = io.BytesIO()
        write(frame, file)
        return file.getvalue()

    return _bytes


JSON = Format("json", "application/json")
FORMATS = (
    JSON,
    Format("csv", "text/csv", _csv, in_parts=True),
    Format("parquet", "application/vnd.apache.parquet", _parquet, in_parts=True),
    Format("arrow", "application/vnd.apache.arrow.file", _written(pl.DataFrame.write_ipc), in_parts=True),
    Format("ndjson", "application/x-ndjson", _written(pl.DataFrame.write_ndjson)),
)
STREAM = Format("arrows", "application/vnd.apache.arrow.stream", _written(pl.DataFrame.write_ipc_stream))
"""Arrow for those that read it while it arrives; who wants it asks with Accept."""

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
    """The frame as a file, with its text plain and its times in UTC; None where the format is JSON."""
    return form.write and form.write(frame.cast({pl.Categorical: pl.String}))
