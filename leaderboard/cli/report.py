"""``leaderboard report``."""

import ast
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from leaderboard.cli.stores import DatabaseAway, open_migrated_database
from leaderboard.cli.errors import CANNOT_WRITE, TRY_AGAIN, failure
from leaderboard.cli.moments import Moment
from leaderboard.export.errors import TargetError, translate_store_errors
from leaderboard.reports import notebooks
from leaderboard.settings import Settings
from leaderboard.storage.files import Files, split_url

WEEK = timedelta(days=7)
OPTIONS = ("DATABASE", "ORCHESTRATOR", "SINCE", "UNTIL")
"""The parameters that have an option of their own."""


class Parameter(click.ParamType):
    """``NAME=VALUE``."""

    name = "name=value"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, str]:
        """The name, in upper case, and the text of the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        name = name.strip().upper()
        if not equals:
            self.fail(f"must be NAME=VALUE, not {value!r}", parameter, context)
        if name in OPTIONS:
            self.fail(f"{name} is given as --{name.lower()}", parameter, context)
        return name, text


@click.command()
@click.argument("notebook", type=click.Choice(notebooks.names()))
@click.option("--to", required=True, help="The page, a path or a URL s3://, gs:// or az://; - is standard output.")
@click.option("--orchestrator", help="The address that the report is about, where it is about one.")
@click.option("--since", type=Moment(), help="Unix seconds or RFC 3339.  [default: seven days before --until]")
@click.option("--until", type=Moment(), help="Unix seconds or RFC 3339.  [default: now]")
@click.option(
    "--database",
    help="Where events are read from: a database's URL, a lake, or exported files.  [default: POSTGRES and LAKE_URL]",
)
@click.option(
    "-p",
    "--parameter",
    "others",
    type=Parameter(),
    multiple=True,
    help="Any other value of the notebook's first cell, NAME=VALUE; may be given several times.",
)
@click.pass_obj
def report(
    settings: Settings,
    notebook: str,
    to: str,
    orchestrator: str | None,
    since: datetime | None,
    until: datetime | None,
    database: str | None,
    others: tuple[tuple[str, str], ...],
) -> None:
    """Runs NOTEBOOK and writes what it shows as an HTML page, without its code, that needs nothing beside it.

    Needs the extra "notebooks".

    Exit codes: 0 done; 2 wrong usage; 73 --to cannot be written; 75 try again
    later, as the database is away or too slow; 1 anything else.
    """
    if missing := notebooks.missing_packages():
        raise click.ClickException(
            f"reports need packages that are not installed ({', '.join(missing)}): {notebooks.INSTALL_COMMANDS}"
        )
    # imports the packages of the extra
    from leaderboard.reports.page import render_page

    loaded = notebooks.load(notebook)
    known = notebooks.parameters(loaded)
    given = _window(since, until) | _others(known, others)
    if orchestrator is not None:
        given["ORCHESTRATOR"] = orchestrator.lower()
    if "ORCHESTRATOR" in known and "ORCHESTRATOR" not in given:
        raise click.UsageError(f"{notebook} is about one orchestrator: --orchestrator is needed")
    if unknown := given.keys() - known:
        raise click.UsageError(f"{notebook} takes no {', '.join(sorted(unknown))}; it takes {', '.join(known)}")
    try:
        made = notebooks.run(loaded, _source(settings, database) | given)
        _write(render_page(made, notebook).encode(), to)
    except DatabaseAway as error:
        raise failure(error.message, TRY_AGAIN) from None
    except notebooks.NotebookError as error:
        raise failure(f"{notebook} failed: {error}", TRY_AGAIN if error.retryable else 1) from None
    except TargetError as error:
        raise failure(str(error), CANNOT_WRITE) from None


def _window(since: datetime | None, until: datetime | None) -> dict[str, Any]:
    end = until or datetime.now(UTC)
    begin = since or end - WEEK
    if begin > end:
        raise click.BadParameter("must not be before --since", param_hint="--until")
    return {"SINCE": begin.isoformat(), "UNTIL": end.isoformat()}


def _source(settings: Settings, database: str | None) -> dict[str, Any]:
    if database is not None:
        return {"DATABASE": database, "LAKE": None}
    return {"DATABASE": open_migrated_database(settings), "LAKE": settings.lake}


def _others(known: dict[str, Any], others: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The values as the types that the notebook has them in."""
    values: dict[str, Any] = {}
    for name, text in others:
        if name not in known or isinstance(known[name], (str, type(None))):
            values[name] = text
            continue
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise click.BadParameter(f"{name} must be like {known[name]!r}, not {text!r}", param_hint="-p") from None
    return values


def _write(made: bytes, to: str) -> None:
    if to == "-":
        click.get_binary_stream("stdout").write(made)
        return
    folder, name = split_url(to)
    with translate_store_errors(to):
        Files(folder).put(name, made)
    click.echo(f"the report is at {to}", err=True)
