"""Runs statements and prints their results."""

import sys
from functools import partial

import click
import polars as pl
from duckdb import DuckDBPyConnection, DuckDBPyRelation, Error, ExpectedResultType, Statement

from leaderboard.cli.output.tables import print_table
from leaderboard.cli.sql.interruption import run_interruptible, stream_interruptible
from leaderboard.plain_text import standard_output
from leaderboard.storage.relation_formats import RELATION_FORMATS, write_relation

TABLE, PARQUET = "table", "parquet"
FORMATS = (TABLE, *RELATION_FORMATS)
SEPARATED_FORMATS = (TABLE, "csv")
"""Formats in which an empty line stands between the results of two statements."""
MAX_TABLE_ROWS = 1000
PIPE_WIDTH = 10_000
NUMBER_TYPES = ("tinyint", "smallint", "integer", "bigint", "hugeint", "float", "double", "decimal")


def run_statements(connection: DuckDBPyConnection, text: str, file_format: str) -> None:
    """Runs the statements in ``text`` one after another, and prints the result of each that returns rows.

    Raises duckdb.Error, and click.UsageError where there is no statement or,
    with Parquet, not exactly one that returns rows.
    """
    statements = connection.extract_statements(text)
    if not statements:
        raise click.UsageError("there is no statement")
    row_statements = sum(map(_returns_rows, statements))
    if file_format == PARQUET and row_statements != 1:
        raise click.UsageError(f"--format parquet takes one statement that returns rows, not {row_statements}")
    printed = 0
    for statement in statements:
        if not _returns_rows(statement):
            run_interruptible(connection, partial(connection.execute, statement))
            continue
        if printed and file_format in SEPARATED_FORMATS:
            click.echo()
        _print_result(connection, statement, file_format)
        printed += 1


def one_line(error: Error) -> str:
    """DuckDB's message without the lines that show a part of the statement."""
    message, _, _ = str(error).partition("\nLINE ")
    return " ".join(message.split())


def _returns_rows(statement: Statement) -> bool:
    # statements that change something could return the number of changed rows
    return statement.expected_result_type == [ExpectedResultType.QUERY_RESULT]


def _print_result(connection: DuckDBPyConnection, statement: Statement, file_format: str) -> None:
    relation = connection.sql(statement)
    if file_format == TABLE:
        rows = run_interruptible(connection, lambda: _read_as_text(relation.limit(MAX_TABLE_ROWS + 1)))
        _print_rows(relation, rows)
        return
    sys.stdout.flush()
    stream_interruptible(connection, lambda out: write_relation(relation, out, file_format), standard_output())


def _read_as_text(relation: DuckDBPyRelation) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(relation.select("COLUMNS(*)::VARCHAR").to_arrow_table()))


def _print_rows(relation: DuckDBPyRelation, rows: pl.DataFrame) -> None:
    if rows.height > MAX_TABLE_ROWS:
        click.echo(f"these are the first {MAX_TABLE_ROWS:,} rows; --format csv prints all", err=True)
    columns = {name: kind.id in NUMBER_TYPES for name, kind in zip(rows.columns, relation.types, strict=True)}
    shown = (["NULL" if value is None else value for value in row] for row in rows.head(MAX_TABLE_ROWS).iter_rows())
    print_table(columns, shown, pipe_width=PIPE_WIDTH, overflow="fold")
