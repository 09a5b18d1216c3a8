"""``leaderboard exclusions``."""

import os
import pwd
import socket
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import TypeVar

import click
import msgspec
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.cli.moments import Moment
from leaderboard.cli.output.tables import print_table
from leaderboard.cli.stores import open_migrated_database
from leaderboard.exclusions.exclusion_table import (
    StoredExclusion,
    insert_exclusion,
    remove_exclusion,
    select_exclusions,
)
from leaderboard.plain_text import standard_output
from leaderboard.postgres.pool import Database
from leaderboard.regions.region_table import select_regions
from leaderboard.serializers import serialize_exclusions
from leaderboard.settings import Settings
from queries import AI, TRANSCODING, Exclusion

T = TypeVar("T")

MAX_ID = 2**31 - 1
PIPE_WIDTH = 1000
MAX_LINE_CHARACTERS = 500


class Line(click.ParamType[str]):
    """A text on one line, which any terminal can show."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without spaces around it."""
        text = str(value).strip()
        if not text or len(text) > MAX_LINE_CHARACTERS or not text.isprintable():
            self.fail(f"must be one line of 1 to {MAX_LINE_CHARACTERS} printable characters", param, ctx)
        return text


def current_user() -> str:
    """Who runs this process, as user@host."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # a container may run as a uid without an account
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


by_option = click.option("--by", type=Line(), help="Who decided it; anybody can read that.  [default: user@host]")


@click.group()
def exclusions() -> None:
    """Leaves results of a bad span of time out of scores.

    Use it where a tester was at fault and not the network. The results stay
    stored, and formula 1 counts them as before.
    """


@exclusions.command()
@click.option("--region", required=True, help="The code of the tester's region.")
@click.option(
    "--job-type", type=click.Choice([TRANSCODING, AI]), help="Only results of this job type.  [default: both]"
)
@click.option("--since", type=Moment(), required=True, help="Unix seconds, RFC 3339 or a date (UTC midnight).")
@click.option("--until", type=Moment(), required=True, help="The same; results of that moment count.")
@click.option("--reason", type=Line(), required=True, help="Why; anybody can read that.")
@by_option
@click.pass_obj
def add(
    settings: Settings,
    region: str,
    job_type: str | None,
    since: datetime,
    until: datetime,
    reason: str,
    by: str | None,
) -> None:
    """Leaves out the results of a region that were received since one moment and before another.

    A running service follows within seconds.
    """
    if since >= until:
        raise click.UsageError("--until must be later than --since")
    exclusion = Exclusion(region.upper(), job_type, since, until, reason)

    def insert(cursor: Cursor) -> int:
        _check_region(cursor, exclusion)
        return insert_exclusion(cursor, exclusion, by or current_user())

    click.echo(f"exclusion {_run(settings, insert)} added", err=True)


@exclusions.command(name="list")
@click.option("--all", "with_removed", is_flag=True, help="Also those that were removed.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON that /api/exclusions returns.")
@click.pass_obj
def list_command(settings: Settings, with_removed: bool, as_json: bool) -> None:
    """Prints what is left out, why, and who decided it."""
    found = [stored for stored in _run(settings, select_exclusions) if with_removed or stored.is_active]
    if as_json:
        click.echo(msgspec.json.encode(serialize_exclusions(found)), file=standard_output())
    elif not found:
        click.echo("nothing is left out", err=True)
    else:
        _print_exclusions(found)


@exclusions.command()
@click.argument("id_", metavar="ID", type=click.IntRange(1, MAX_ID))
@by_option
@click.pass_obj
def remove(settings: Settings, id_: int, by: str | None) -> None:
    """Lets the results that the exclusion ID leaves out count again.

    The exclusion stays in the output of "list --all".
    """
    _run(settings, lambda cursor: remove_exclusion(cursor, id_, by or current_user()))
    click.echo(f"exclusion {id_} removed", err=True)


def _run(settings: Settings, work: Callable[[Cursor], T]) -> T:
    with closing(Database(open_migrated_database(settings), settings.db_timeout)) as database:
        return database.run(work)


def _check_region(cursor: Cursor, exclusion: Exclusion) -> None:
    job_types = (TRANSCODING, AI) if exclusion.job_type is None else (exclusion.job_type,)
    codes = {region["id"].upper() for region in select_regions(cursor) if region["type"] in job_types}
    if exclusion.region not in codes:
        known = ", ".join(sorted(codes))
        raise click.BadParameter(f"{exclusion.region!r} is not registered; there are {known}", param_hint="--region")


def _print_exclusions(found: list[StoredExclusion]) -> None:
    columns = {"id": True} | dict.fromkeys(
        ("region", "job type", "since", "until", "reason", "added", "removed"), False
    )
    rows = (
        (
            str(stored.id),
            stored.exclusion.region,
            stored.exclusion.job_type or "both",
            _time(stored.exclusion.since),
            _time(stored.exclusion.until),
            stored.exclusion.reason,
            f"{_time(stored.added_at)} by {stored.added_by}",
            f"{_time(stored.removed_at)} by {stored.removed_by}" if stored.removed_at else "",
        )
        for stored in found
    )
    print_table(columns, rows, pipe_width=PIPE_WIDTH, overflow="fold")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
