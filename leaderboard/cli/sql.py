"""``leaderboard sql``."""

import io
import sys
from collections.abc import Callable
from concurrent.futures import wait

import click
import duckdb
import polars as pl
from duckdb import DuckDBPyConnection, DuckDBPyRelation
from rich.console import Console
from rich.table import Table
from rich.text import Text

import queries
from leaderboard.cli.stores import open_migrated_database
from leaderboard.settings import Settings
from leaderboard.storage.relation_formats import write_relation
from queries import StoreTimeout, StoreUnavailable
from queries.concurrency import run_in_thread

Printed = Table | bytes

LOOK_UP = 0.2
"""Seconds between two looks whether a statement was given up."""
READ_TIMEOUT = 600.0
"""Seconds for reading what the lake does not have, which is all there is where there is no lake."""
MOST_ROWS = 1000
"""Of a table that somebody is to read."""
WIDEST = 10_000
"""Characters of a line in a pipe, in which nothing is folded."""


@click.command()
@click.argument("statement")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="What is printed: a table of at most 1,000 rows, or all of them as a file of this kind.",
)
@click.option("--lake-only", is_flag=True, help="Leave the database alone: see what was exported to LAKE_URL.")
@click.pass_obj
def sql(settings: Settings, statement: str, form: str, lake_only: bool) -> None:
    """Runs a STATEMENT (- for standard input) of DuckDB's SQL over the events and prints what it returns.

    There are the views events, event_details, regions and scores_daily;
    "DESCRIBE events" tells the columns of one. Statements change nothing and
    reach neither files nor the network.
    """
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("--format parquet is not to be read on a terminal; send it to a file or a pipe")
    if statement == "-":
        statement = sys.stdin.read()
    connection = _connection(settings, lake_only)
    try:
        printed = _interruptible(connection, _printed, connection, statement, form)
    except (duckdb.Error, UnicodeError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        connection.close()
    if isinstance(printed, Table):
        Console(width=None if sys.stdout.isatty() else WIDEST).print(printed)
    else:
        sys.stdout.buffer.write(printed)


def _interruptible(connection: DuckDBPyConnection, call: Callable[..., Printed], *args: object) -> Printed:
    """What the call returns, made on another thread: one that waits in DuckDB does not always hear of Ctrl-C."""
    outcome = run_in_thread(call, *args)
    try:
        while not outcome.done():
            wait([outcome], LOOK_UP)
    except BaseException:
        while not outcome.done():
            # one that comes before the statement begins is lost
            connection.interrupt()
            wait([outcome], LOOK_UP)
        raise
    return outcome.result()


def _printed(connection: DuckDBPyConnection, statement: str, form: str) -> Printed:
    relation = connection.sql(statement)
    if relation is None:
        raise click.UsageError("there is no statement")
    return _table(relation) if form == "table" else _encode(relation, form)


def _connection(settings: Settings, lake_only: bool) -> DuckDBPyConnection:
    try:
        if lake_only:
            return queries.connect(settings.lake, timeout=settings.db_timeout)
        return queries.connect(open_migrated_database(settings), lake=settings.lake, timeout=READ_TIMEOUT)
    except (StoreUnavailable, StoreTimeout) as error:
        raise click.ClickException(str(error)) from None


def _table(relation: DuckDBPyRelation) -> Table:
    rows = _as_text(relation.limit(MOST_ROWS + 1))
    if rows.height > MOST_ROWS:
        click.echo(f"these are the first {MOST_ROWS:,} rows; --format csv prints all", err=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, kind in zip(rows.columns, relation.types, strict=True):
        table.add_column(name, justify="right" if kind.id in _NUMBERS else "left", overflow="fold")
    for row in rows.head(MOST_ROWS).iter_rows():
        # a value is no markup
        table.add_row(*("NULL" if value is None else Text(value) for value in row))
    return table


def _encode(relation: DuckDBPyRelation, form: str) -> bytes:
    file = io.BytesIO()
    write_relation(relation, file, form)
    return file.getvalue()


def _as_text(relation: DuckDBPyRelation) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(relation.select("COLUMNS(*)::VARCHAR").to_arrow_table()))


_NUMBERS = ("tinyint", "smallint", "integer", "bigint", "hugeint", "float", "double", "decimal")
