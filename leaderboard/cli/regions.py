"""``leaderboard regions``."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TypeVar

import click
import msgspec
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.cli.output.tables import print_table
from leaderboard.cli.stores import open_migrated_database, open_primary
from leaderboard.plain_text import standard_output
from leaderboard.postgres.pool import Database
from leaderboard.regions import administration
from leaderboard.regions.codes import CODE_RULE, DISPLAY_NAME_RULE, is_code, is_display_name
from leaderboard.regions.refused_table import RefusedRegion, select_refused
from leaderboard.regions.region_table import Region, select_regions
from leaderboard.settings import Settings
from queries import AI, TRANSCODING

T = TypeVar("T")

COLUMNS = {"code": False, "name": False, "job type": False, "state": False, "refused": True, "last refused": False}
PIPE_WIDTH = 300
CANNOT_WRITE = "which takes no changes"


def _check_code(_: click.Context, __: click.Parameter, value: str) -> str:
    if not is_code(value):
        raise click.BadParameter(CODE_RULE)
    return value.upper()


def _check_name(_: click.Context, __: click.Parameter, value: str) -> str:
    if not is_display_name(value):
        raise click.BadParameter(DISPLAY_NAME_RULE)
    return value


def _to_upper(_: click.Context, __: click.Parameter, value: str) -> str:
    return value.upper()


display_name = click.argument("name", callback=_check_name)
registered_code = click.argument("code", callback=_to_upper)
job_type_option = click.option(
    "--job-type",
    required=True,
    type=click.Choice([AI, TRANSCODING]),
    help="The type of the region's jobs. A region is registered for each type by itself.",
)


@click.group()
def regions() -> None:
    """Lists, adds, renames and retires regions."""


@regions.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_regions(settings: Settings, as_json: bool) -> None:
    """Prints the regions, and how many posts were refused because of theirs.

    Posts are refused if their region is not registered for their job type, or
    retired. They are counted until the region takes results, or for a week
    after the last one.
    """
    known, refused = _run(
        open_migrated_database(settings), settings, lambda cursor: (select_regions(cursor), select_refused(cursor))
    )
    if as_json:
        click.echo(msgspec.json.encode({"regions": known, "refused_regions": refused}), file=standard_output())
    else:
        print_table(COLUMNS, _rows(known, refused), pipe_width=PIPE_WIDTH, overflow="fold")


@regions.command()
@click.argument("code", callback=_check_code)
@display_name
@job_type_option
@click.pass_obj
def add(settings: Settings, code: str, name: str, job_type: str) -> None:
    """Registers a region, or has a retired one take results again.

    CODE is what testers post, in any case, such as SEA. NAME is for people,
    such as Seattle. A running service takes results of the region within a
    second.
    """
    _change(settings, lambda cursor: administration.add_region(cursor, code, name, job_type))


@regions.command()
@registered_code
@display_name
@job_type_option
@click.pass_obj
def rename(settings: Settings, code: str, name: str, job_type: str) -> None:
    """Changes the display name of a region. Its code stays."""
    _change(settings, lambda cursor: administration.rename_region(cursor, code, name, job_type))


@regions.command()
@registered_code
@job_type_option
@click.pass_obj
def retire(settings: Settings, code: str, job_type: str) -> None:
    """Has a region take no more results.

    Its results stay, in scores and in history, and so does the region in
    lists. A running service refuses its results at once. "leaderboard regions
    add" takes the region back.
    """
    _change(settings, lambda cursor: administration.retire_region(cursor, code, job_type))


def _change(settings: Settings, work: Callable[[Cursor], str]) -> None:
    """Makes a change in a transaction, and prints the sentence that it returns."""
    click.echo(_run(open_primary(settings, CANNOT_WRITE), settings, work))


def _run(url: str, settings: Settings, work: Callable[[Cursor], T]) -> T:
    with closing(Database(url, settings.db_timeout, connections=1)) as database:
        return database.run(work)


def _rows(known: list[Region], refused: list[RefusedRegion]) -> Iterator[list[str]]:
    refusals = {(region["id"], region["type"]): region for region in refused}
    for region in known:
        found = refusals.pop((region["id"].upper(), region["type"]), None)
        yield [region["id"], region["name"], region["type"], _state(region), *_count(found)]
    for (code, job_type), rest in refusals.items():
        yield [code, "", job_type, "not registered", *_count(rest)]


def _state(region: Region) -> str:
    return f"retired {region['retired_at'][:10]}" if "retired_at" in region else "active"


def _count(refused: RefusedRegion | None) -> list[str]:
    return [f"{refused['posts']:,}", f"{refused['last_at'][:16]}Z"] if refused else ["", ""]
