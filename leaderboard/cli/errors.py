"""How a failed command ends: one line on standard error, and an exit code that says whether to try again."""

import click

from leaderboard.plain_text import escape_controls


class TryAgain(click.ClickException):
    """The same command may succeed later. The exit code is EX_TEMPFAIL of sysexits.h."""

    exit_code = 75


class CannotWrite(click.ClickException):
    """The target of the output cannot be written. The exit code is EX_CANTCREAT of sysexits.h."""

    exit_code = 73


FAILURES: dict[str, type[click.ClickException]] = {
    "leaderboard.cli.output.streams.OutputError": CannotWrite,
    "leaderboard.exclusions.exclusion_table.UnknownExclusion": click.ClickException,
    "leaderboard.export.errors.IncompletePeriod": TryAgain,
    "leaderboard.export.errors.TargetConflict": TryAgain,
    "leaderboard.export.errors.TargetError": CannotWrite,
    "leaderboard.export.spark.SparkError": click.ClickException,
    "leaderboard.lake.errors.LakeConflict": TryAgain,
    "leaderboard.lake.errors.LakeError": click.ClickException,
    "leaderboard.postgres.errors.EmbeddedPostgresError": click.ClickException,
    "leaderboard.postgres.errors.MigrationError": click.ClickException,
    "leaderboard.regions.administration.RegionError": click.ClickException,
    "leaderboard.results.validation.InvalidResult": click.ClickException,
    "leaderboard.settings.SettingsError": click.ClickException,
    "psycopg2.Error": click.ClickException,
    "queries.errors.StoreError": TryAgain,
}
"""How the errors that a user can meet end a command. They are named as text: a command imports only what it uses."""


def translate(error: BaseException) -> click.ClickException | None:
    """The error as the end of a command, or None where it is a fault of the program.

    Notes of the error (``add_note``) follow its message.
    """
    for ancestor in type(error).__mro__:
        failure = FAILURES.get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if failure is not None:
            parts = (str(error), *getattr(error, "__notes__", ()))
            return failure(escape_controls("; ".join(" ".join(part.split()) for part in parts)))
    if type(error).__name__ == "PanicException":
        # its class has no module that could be imported
        return click.ClickException(escape_controls(f"a library failed: {error}"))
    return None
