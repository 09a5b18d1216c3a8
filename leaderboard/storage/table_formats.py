"""The one place that writes tables as CSV, Parquet, Arrow or NDJSON: for the API, exports and SQL."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from queries.times import RFC_3339_FORMAT

CHUNK_ROWS = 100_000
"""Rows of a row group of Parquet and of a record batch of Arrow."""
COMPRESSION, COMPRESSION_LEVEL = "zstd", 3
FIXED_LAYOUT_DECIMALS = 12
"""Digits after the point of floats in CSV of a fixed layout."""
MAX_FLOAT_CHARACTERS = 24
"""Of a Float64 in decimal, such as -2.2250738585072014e-308."""
FORMULA_START = r"^[=+\-@\t\r\n＝＋－＠]"
"""How text begins that a spreadsheet may run as a formula; the full-width signs count as well."""

Table = TypeVar("Table", pl.DataFrame, pa.Table)


@dataclass(frozen=True)
class TableOptions:
    """How a table is written.

    ``keep_formulas``: CSV has text exactly as it is. Otherwise a ``'`` goes
    before text and column names that begin like a formula, because testers
    choose names of models and errors, and a spreadsheet would run them.

    ``number_columns``: text columns that hold numbers, which are no formulas
    even with a minus sign.

    ``line_terminator``: what ends a line of CSV.

    ``fixed_layout``: a number takes the same space whatever its last bits are.
    Readers fetch ranges of one file from several workers, whose means differ
    in the last bits; these ranges must fit together.
    """

    keep_formulas: bool = False
    number_columns: Collection[str] = ()
    line_terminator: str = "\n"
    fixed_layout: bool = False


DEFAULT_OPTIONS = TableOptions()


def write_table(
    frames: Iterable[pl.DataFrame], out: BinaryIO, file_format: str, options: TableOptions = DEFAULT_OPTIONS
) -> int:
    """Writes frames of the same columns to a binary file, one after another, and returns how many rows they have.

    ``file_format`` is one of TABLE_FORMATS. Times must be in UTC. Categorical
    text is written as plain text. CSV cannot have nested columns. Raises
    ValueError if there is no frame, because the columns are unknown then;
    NDJSON, which names them in each row, is empty in this case.
    """
    return sum(TABLE_FORMATS[file_format](map(_decode_categories, frames), out, options))


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """The frame with types that every reader of Arrow knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def write_parquet(tables: Iterable[pa.Table], out: BinaryIO, options: TableOptions = DEFAULT_OPTIONS) -> Iterator[int]:
    """Writes Arrow tables as one Parquet file and yields how many rows each has. Raises ValueError as write_table."""
    first, tables = _peek(tables)
    codec: dict[str, object] = {"compression": COMPRESSION, "compression_level": COMPRESSION_LEVEL}
    if options.fixed_layout:
        text = [field.name for field in first.schema if pa.types.is_large_string(field.type)]
        # compression and dictionaries would make the size of numbers depend on their values
        codecs = {name: COMPRESSION if name in text else "none" for name in first.schema.names}
        codec = {"compression": codecs, "use_dictionary": text}
    with pq.ParquetWriter(out, first.schema, **codec) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=CHUNK_ROWS)
            yield table.num_rows


def _write_parquet_frames(frames: Iterable[pl.DataFrame], out: BinaryIO, options: TableOptions) -> Iterator[int]:
    return write_parquet(map(to_arrow, frames), out, options)


def _write_arrow_file(frames: Iterable[pl.DataFrame], out: BinaryIO, options: TableOptions) -> Iterator[int]:
    return _write_arrow(pa.ipc.new_file, frames, out, None if options.fixed_layout else COMPRESSION)


def _write_arrow_stream(frames: Iterable[pl.DataFrame], out: BinaryIO, _: TableOptions) -> Iterator[int]:
    # HTTP compresses it on the way, where the client can read that
    return _write_arrow(pa.ipc.new_stream, frames, out, None)


def _write_arrow(
    open_writer: Callable[..., pa.ipc.RecordBatchStreamWriter],
    frames: Iterable[pl.DataFrame],
    out: BinaryIO,
    codec: str | None,
) -> Iterator[int]:
    first, tables = _peek(map(to_arrow, frames))
    with open_writer(out, first.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        for table in tables:
            writer.write_table(table, max_chunksize=CHUNK_ROWS)
            yield table.num_rows


def _write_csv(frames: Iterable[pl.DataFrame], out: BinaryIO, options: TableOptions) -> Iterator[int]:
    """RFC 4180 in UTF-8. Null is an empty field, and empty text is in quotes."""
    first, frames = _peek(frames)
    header = pl.DataFrame([first.columns], orient="row", schema=[f"{number}" for number in range(first.width)])
    for number, frame in enumerate(chain([header], frames)):
        text = (frame if options.keep_formulas else _escape_formulas(frame, options.number_columns)).write_csv(
            include_header=False,
            line_terminator=options.line_terminator,
            datetime_format=RFC_3339_FORMAT,
            float_precision=FIXED_LAYOUT_DECIMALS if options.fixed_layout else None,
        )
        # Polars itself would raise an error that does not tell a closed pipe from a full disk
        out.write(text.encode())
        if number:
            yield frame.height


def _write_ndjson(frames: Iterable[pl.DataFrame], out: BinaryIO, options: TableOptions) -> Iterator[int]:
    """One JSON object on each line. NaN and infinity, which JSON lacks, are null."""
    for frame in frames:
        rows = frame.with_columns(pl.col(pl.Datetime).dt.strftime(RFC_3339_FORMAT))
        text = _padded_ndjson(rows) if options.fixed_layout and rows.height else rows.write_ndjson()
        out.write(text.encode())
        yield frame.height


def _padded_ndjson(rows: pl.DataFrame) -> str:
    """NDJSON in which spaces after each float make it as long as the longest one."""
    members, other_columns = [], list[str]()

    def end_members() -> None:
        if other_columns:
            # the members of an object without its braces
            members.append(pl.struct(other_columns).struct.json_encode().str.slice(1).str.head(-1))
            other_columns.clear()

    for name, dtype in rows.schema.items():
        if dtype.is_float():
            end_members()
            number = pl.when(pl.col(name).is_finite()).then(pl.col(name).cast(pl.String)).fill_null("null")
            members.append(pl.lit(f"{json.dumps(name)}:") + number.str.pad_end(MAX_FLOAT_CHARACTERS, " "))
        else:
            other_columns.append(name)
    end_members()
    lines = pl.concat_str(pl.lit("{"), pl.concat_str(members, separator=","), pl.lit("}\n"))
    return str(rows.select(lines.str.join("")).item())


TABLE_FORMATS: dict[str, Callable[[Iterable[pl.DataFrame], BinaryIO, TableOptions], Iterator[int]]] = {
    "parquet": _write_parquet_frames,
    "csv": _write_csv,
    "ndjson": _write_ndjson,
    "arrow": _write_arrow_file,
    "arrows": _write_arrow_stream,
}


def _escape_formulas(frame: pl.DataFrame, number_columns: Collection[str]) -> pl.DataFrame:
    text = pl.selectors.string() - pl.selectors.by_name(number_columns, require_all=False)
    escaped = pl.when(text.str.contains(FORMULA_START)).then(pl.lit("'") + text).otherwise(text)
    return frame.with_columns(escaped.name.keep())


def _decode_categories(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.selectors.categorical().cast(pl.String))


def _peek(tables: Iterable[Table]) -> tuple[Table, Iterator[Table]]:
    """The first of the tables, and an iterator over all of them."""
    iterator = iter(tables)
    try:
        first = next(iterator)
    except StopIteration:
        raise ValueError("a table needs at least one frame, which tells its columns") from None
    return first, chain([first], iterator)
