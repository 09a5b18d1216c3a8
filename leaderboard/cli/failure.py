"""Failures that tell by their exit codes what they are."""

import click

CANNOT_WRITE, TRY_AGAIN = 73, 75
"""Exit codes, as sysexits.h has them; 1 is any other failure and 2 wrong usage."""


def failure(sentence: str, exit_code: int) -> click.ClickException:
    """An exception that ends the command with the sentence and this code."""
    raised = click.ClickException(sentence)
    raised.exit_code = exit_code
    return raised
