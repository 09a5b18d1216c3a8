"""Failures that tell by their exit codes what they are."""

import click
import psycopg2

CANNOT_WRITE, TRY_AGAIN = 73, 75
"""Exit codes, as sysexits.h has them; 1 is any other failure and 2 wrong usage."""


def database_failure(error: psycopg2.Error) -> click.ClickException:
    """An exception that ends the command with what the database said, on one line."""
    return click.ClickException(f"the database fails: {' '.join(str(error).split())}")


def failure(sentence: str, exit_code: int) -> click.ClickException:
    """An exception that ends the command with the sentence and this code."""
    raised = click.ClickException(sentence)
    raised.exit_code = exit_code
    return raised
