"""The prompt of ``leaderboard sql``."""

import contextlib

import click
from duckdb import DuckDBPyConnection, Error, ParserException

from leaderboard.cli.sql.output import one_line, run_statements
from leaderboard.plain_text import escape_controls

FIRST_PROMPT, NEXT_PROMPT = "sql> ", "...> "
END_COMMANDS = ("exit", "quit", "\\q")
GREETING = 'End a statement with ;. Ctrl-C cancels it, and Ctrl-D ends. Try "SHOW TABLES;" or "DESCRIBE events;".'


def run_prompt(connection: DuckDBPyConnection, file_format: str) -> None:
    """Reads statements from the terminal and prints their results, until Ctrl-D."""
    # importing it gives input() a history and editing; some builds of Python lack it
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    click.echo(GREETING)
    while True:
        try:
            text = _read_statements(connection)
            if text is None:
                return
            run_statements(connection, text, file_format)
        except KeyboardInterrupt:
            click.echo("cancelled", err=True)
        except Error as error:
            click.echo(f"Error: {escape_controls(one_line(error))}", err=True)
        except click.UsageError as error:
            click.echo(f"Error: {error.message}", err=True)


def _read_statements(connection: DuckDBPyConnection) -> str | None:
    """What is typed until a semicolon ends a statement, or None where the user ends the prompt."""
    text = ""
    while True:
        try:
            line = input(NEXT_PROMPT if text.strip() else FIRST_PROMPT)
        except EOFError:
            click.echo()
            return None
        if not text.strip() and line.strip().rstrip(";") in END_COMMANDS:
            return None
        text += f"{line}\n"
        if line.rstrip().endswith(";") and _is_complete(connection, text):
            return text


def _is_complete(connection: DuckDBPyConnection, text: str) -> bool:
    """Whether the semicolon at the end is outside of quotes and comments."""
    try:
        return bool(connection.extract_statements(text))
    except ParserException as error:
        return "unterminated" not in str(error)
