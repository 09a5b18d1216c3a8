"""Writes what a DuckDB statement returns, batch by batch, so that little of it is in memory."""

import json
from collections.abc import Iterator
from typing import BinaryIO

import polars as pl
import pyarrow as pa
from duckdb import DuckDBPyRelation

from leaderboard.storage.table_formats import TableOptions, write_parquet, write_table

RELATION_FORMATS = ("csv", "json", "ndjson", "parquet")
TEXT_BATCH_ROWS = 5_000
"""Rows that are turned into CSV or JSON at a time. Ten times as many take 500 MiB more memory, and no less time."""
ROW_GROUP_ROWS = 50_000
"""Rows of a row group of Parquet."""

_INTEGERS = ("tinyint", "smallint", "integer", "bigint", "hugeint")
_UNSIGNED_INTEGERS = ("utinyint", "usmallint", "uinteger", "ubigint", "uhugeint")
_NUMBERS = frozenset((*_INTEGERS, *_UNSIGNED_INTEGERS, "float", "double", "decimal", "bignum"))
# Parquet has no types like these
_TEXT_IN_PARQUET = frozenset(("interval", "bignum", "bit"))


def write_relation(relation: DuckDBPyRelation, out: BinaryIO, file_format: str, *, keep_formulas: bool = False) -> int:
    """Writes the rows of a relation in one of RELATION_FORMATS and returns how many there are.

    CSV has every value as DuckDB shows it. Nothing is written before the
    first rows have been computed, so that a statement that fails at once
    writes nothing. Raises duckdb.Error.
    """
    if file_format == "csv":
        text = relation.select("COLUMNS(*)::VARCHAR")
        options = TableOptions(keep_formulas=keep_formulas, number_columns=_number_columns(text.columns, relation))
        return write_table(_frames(text), out, "csv", options)
    if file_format == "parquet":
        return sum(write_parquet(_tables(_with_parquet_types(relation), ROW_GROUP_ROWS), out))
    return _write_json(relation, out, as_array=file_format == "json")


def _number_columns(names: list[str], relation: DuckDBPyRelation) -> list[str]:
    return [name for name, kind in zip(names, relation.types, strict=True) if kind.id in _NUMBERS]


def _with_parquet_types(relation: DuckDBPyRelation) -> DuckDBPyRelation:
    quoted = ['"' + name.replace('"', '""') + '"' for name in relation.columns]
    return relation.project(
        ", ".join(
            f"{name}::VARCHAR AS {name}" if kind.id in _TEXT_IN_PARQUET else name
            for name, kind in zip(quoted, relation.types, strict=True)
        )
    )


def _write_json(relation: DuckDBPyRelation, out: BinaryIO, *, as_array: bool) -> int:
    """One object for each row, on a line of its own; together they are an array, or NDJSON."""
    start, separator, end = (b"[", b",\n", b"]\n") if as_array else (b"", b"\n", b"")
    rows = 0
    for table in _tables(relation.set_alias("row").select("to_json(row)::VARCHAR"), TEXT_BATCH_ROWS):
        lines = [_finite(text).encode() for text in table.column(0).to_pylist()]
        if rows == 0:
            out.write(start)
        if lines:
            out.write((separator if rows else b"") + separator.join(lines))
        rows += len(lines)
    if rows and not as_array:
        end = b"\n"
    out.write(end)
    return rows


def _finite(row: str) -> str:
    """The JSON of a row, with null for NaN and infinity, which DuckDB writes although JSON has neither."""
    if "NaN" not in row and "Infinity" not in row:
        return row
    return json.dumps(json.loads(row, parse_constant=lambda _: None), ensure_ascii=False)


def _frames(relation: DuckDBPyRelation) -> Iterator[pl.DataFrame]:
    return (pl.DataFrame(pl.from_arrow(table)) for table in _tables(relation, TEXT_BATCH_ROWS))


def _tables(relation: DuckDBPyRelation, batch_rows: int) -> Iterator[pa.Table]:
    """The rows in batches; an empty one where there are no rows."""
    reader = relation.to_arrow_reader(batch_rows)
    empty = True
    for batch in reader:
        empty = False
        yield pa.Table.from_batches([batch])
    if empty:
        yield reader.schema.empty_table()
