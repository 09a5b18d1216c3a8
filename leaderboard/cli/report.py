"""``leaderboard report``."""

import ast
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from leaderboard.cli.errors import TryAgain
from leaderboard.cli.formula_options import IGNORE, formula_options
from leaderboard.cli.moments import Moment
from leaderboard.cli.stores import open_migrated_database
from leaderboard.export.errors import translate_store_errors
from leaderboard.plain_text import standard_output
from leaderboard.reports import notebooks
from leaderboard.reports.facts import report_facts
from leaderboard.settings import Settings
from leaderboard.storage.files import Files, split_url
from queries import Formula

DEFAULT_PERIOD = timedelta(days=7)
PARAMETERS_WITH_OPTION = ("DATABASE", "ORCHESTRATOR", "SINCE", "UNTIL", "FORMULA", "BUSY")


class NotebookParameter(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``. Becomes the name in upper case and the text of the value."""

    name = "name=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name in upper case, and the text of the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        name = name.strip().upper()
        if not equals:
            self.fail(f"must be NAME=VALUE, not {value!r}", param, ctx)
        if name in PARAMETERS_WITH_OPTION:
            self.fail(f"{name} is given as --{name.lower()}", param, ctx)
        return name, text


@click.command()
@click.argument("notebook", type=click.Choice(notebooks.names()))
@click.option("--to", required=True, help="The page: a path, a URL s3://, gs:// or az://, or - for standard output.")
@click.option("--orchestrator", help="The address that the report is about, for reports about one orchestrator.")
@click.option(
    "--since",
    type=Moment(),
    help="Unix seconds, RFC 3339 or a date (UTC midnight).  [default: seven days before --until]",
)
@click.option("--until", type=Moment(), help="Unix seconds, RFC 3339 or a date (UTC midnight).  [default: now]")
@click.option(
    "--database",
    help="Where to read events: the URL of a database, a lake, or exported files.  [default: POSTGRES and LAKE_URL]",
)
@formula_options
@click.option(
    "-p",
    "--parameter",
    "parameters",
    type=NotebookParameter(),
    multiple=True,
    help="NAME=VALUE for any other parameter in the first cell of the notebook; may be repeated.",
)
@click.pass_obj
def report(
    settings: Settings,
    /,
    *,
    notebook: str,
    to: str,
    orchestrator: str | None,
    since: datetime | None,
    until: datetime | None,
    database: str | None,
    formula: Formula,
    parameters: tuple[tuple[str, str], ...],
) -> None:
    """Runs a notebook and writes its output as one HTML page.

    The page does not show the code, and needs no other file. Needs the extra "notebooks".

    Exit codes: 0 done; 1 another failure; 2 wrong usage; 73 --to cannot be
    written; 75 try again later: the database is unavailable or too slow.
    """
    if missing := notebooks.missing_packages():
        raise click.ClickException(
            f"reports need packages that are not installed ({', '.join(missing)}): {notebooks.INSTALL_COMMANDS}"
        )
    # imports the packages of the extra
    from leaderboard.reports.page import render_page

    loaded = notebooks.load(notebook)
    defaults = notebooks.parameters(loaded)
    values = _time_parameters(since, until) | _parse_values(defaults, parameters)
    if "FORMULA" in defaults or formula != settings.formula:
        values |= _formula_parameters(formula)
    if orchestrator is not None:
        values["ORCHESTRATOR"] = orchestrator.lower()
    if "ORCHESTRATOR" in defaults and "ORCHESTRATOR" not in values:
        raise click.UsageError(f"{notebook} is about one orchestrator, and needs --orchestrator")
    if unknown := values.keys() - defaults:
        raise click.UsageError(f"{notebook} takes no {', '.join(sorted(unknown))}; it takes {', '.join(defaults)}")
    values = _source_parameters(settings, database, values["UNTIL"]) | values
    try:
        executed = notebooks.run(loaded, values)
    except notebooks.NotebookError as error:
        failure = TryAgain if error.retryable else click.ClickException
        raise failure(f"{notebook} failed: {error}") from None
    _write(render_page(executed, report_facts(values, formula if "FORMULA" in defaults else None)).encode(), to)


def _time_parameters(since: datetime | None, until: datetime | None) -> dict[str, Any]:
    until = until or datetime.now(UTC)
    since = since or until - DEFAULT_PERIOD
    if since > until:
        raise click.BadParameter("must not be before --since", param_hint="--until")
    return {"SINCE": since.isoformat(), "UNTIL": until.isoformat()}


def _formula_parameters(formula: Formula) -> dict[str, Any]:
    return {"FORMULA": int(formula.name), "BUSY": IGNORE if formula.ignores_busy else None}


def _source_parameters(settings: Settings, database: str | None, until: str) -> dict[str, Any]:
    if database is not None:
        return {"DATABASE": database, "LAKE": None}
    return {
        "DATABASE": open_migrated_database(settings, complete_until=datetime.fromisoformat(until)),
        "LAKE": settings.lake,
    }


def _parse_values(defaults: dict[str, Any], parameters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The values with the types that they have in the notebook."""
    values: dict[str, Any] = {}
    for name, text in parameters:
        if name not in defaults or isinstance(defaults[name], (str, type(None))):
            values[name] = text
            continue
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise click.BadParameter(f"{name} must be like {defaults[name]!r}, not {text!r}", param_hint="-p") from None
    return values


def _write(html: bytes, to: str) -> None:
    if to == "-":
        out = standard_output()
        out.write(html)
        out.flush()
        return
    folder, name = split_url(to)
    with translate_store_errors(to):
        Files(folder).put(name, html)
    click.echo(f"the report is at {to}", err=True)
