"""The command ``leaderboard sql``."""

import sys

import click
import duckdb

import queries
from leaderboard.cli.sql.output import FORMATS, PARQUET, TABLE, one_line, run_statements
from leaderboard.cli.sql.prompt import run_prompt
from leaderboard.cli.stores import open_migrated_database
from leaderboard.settings import Settings

READ_TIMEOUT_SECONDS = 600.0
"""The limit for reading what the lake lacks. Without a lake, that is everything."""


@click.command()
@click.argument("statement", required=False)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    default=TABLE,
    show_default=True,
    help="A table of at most 1,000 rows, or all rows in a format for programs.",
)
@click.option("--lake-only", is_flag=True, help="Read the lake at LAKE_URL alone, without the database.")
@click.pass_obj
def sql(settings: Settings, statement: str | None, file_format: str, lake_only: bool) -> None:
    """Runs SQL over the events and prints the result.

    STATEMENT (- for standard input) is DuckDB's SQL; several statements are
    separated by semicolons, and the result of each is printed. Without it, a
    terminal gets a prompt.

    The views are events, event_details, regions and scores_daily. "DESCRIBE
    events" prints the columns of one. Statements cannot change the stored data
    and cannot reach files or the network.
    """
    if file_format == PARQUET and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show --format parquet; send it to a file or a pipe")
    if statement is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("STATEMENT is missing; - reads it from standard input")
    text = _read_input() if statement == "-" else statement
    connection = _connect(settings, lake_only)
    try:
        if text is None:
            run_prompt(connection, file_format)
        else:
            run_statements(connection, text, file_format)
    except duckdb.Error as error:
        raise click.ClickException(one_line(error)) from None
    finally:
        connection.close()


def _read_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise click.UsageError("standard input is not UTF-8") from None


def _connect(settings: Settings, lake_only: bool) -> duckdb.DuckDBPyConnection:
    if lake_only:
        return queries.connect(settings.lake, timeout=settings.db_timeout, formula=settings.formula)
    url = open_migrated_database(settings)
    return queries.connect(url, lake=settings.lake, timeout=READ_TIMEOUT_SECONDS, formula=settings.formula)
