"""``leaderboard lake`` and ``leaderboard prune``."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import click
import polars as pl
import psycopg2
from rich.console import Console
from rich.table import Table

from leaderboard.cli.stores import open_migrated_database
from leaderboard.cli.errors import database_failure
from leaderboard.cli.progress import shown
from leaderboard.lake.background import KEEP_HOURS, READ_TIMEOUT_SECONDS
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.lock import exclusive_lock
from leaderboard.lake.prune import Pruning
from leaderboard.lake.status import read_status
from leaderboard.lake.sync import Rewrite, SyncResult, sync
from leaderboard.lake.table import LakeTable
from leaderboard.lake.verify import compare_days
from leaderboard.postgres.admin import DatabaseUnavailable
from leaderboard.settings import Settings
from queries import LakeEvents, LakeSnapshot, PostgresEvents, StoreTimeout, StoreUnavailable
from queries.times import MIN_TIME


class Opened(NamedTuple):
    """What the commands work with."""

    url: str
    postgres: PostgresEvents
    settings: Settings


@click.group()
def lake() -> None:
    """Exports settled results to the lake at LAKE_URL, a Delta table, and looks after it."""


@lake.command(name="sync")
@click.pass_obj
def sync_command(settings: Settings) -> None:
    """Adds every settled result that the lake does not have, and mends days that were changed in the database."""
    _synced(settings, Rewrite.IF_CHANGED)


@lake.command()
@click.pass_obj
def rebuild(settings: Settings) -> None:
    """Writes all days anew that the database has. Who reads the lake meanwhile finds it as it was."""
    _synced(settings, Rewrite.ALL)


@lake.command()
@click.pass_obj
def adopt(settings: Settings) -> None:
    """Has this database go on with the lake of another one that it was restored from; days that differ are mended."""
    _synced(settings, Rewrite.DIFFERENT, adopt=True)


@lake.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Tells how far the lake reaches, how far it lags behind the database, and what it takes."""
    with _opened(settings) as opened:
        snapshot = _snapshot(settings)
        told = read_status(opened.postgres, snapshot, settings.lake).to_dict()
    if as_json:
        click.echo(json.dumps(told))
        return
    width = max(map(len, told))
    for name, value in told.items():
        shown_value = "-" if value is None else f"{value:,}" if isinstance(value, int) else value
        click.echo(f"{name.replace('_', ' '):{width}}  {shown_value}")


@lake.command()
@click.option("--json", "as_json", is_flag=True, help="Every day as JSON lines, not only those that differ.")
@click.pass_obj
def verify(settings: Settings, as_json: bool) -> None:
    """Compares counts and checksums of each day with the database, names those that differ, and exits 1 if any do."""
    with _opened(settings) as opened, shown() as progress:
        snapshot = _snapshot(settings)
        since = opened.postgres.state().pruned or MIN_TIME
        days = compare_days(opened.postgres, snapshot, since, snapshot.watermark, progress)
    differing = days.filter(~pl.col("same"))
    if as_json:
        click.echo(days.with_columns(pl.col("day").cast(pl.String)).write_ndjson(), nl=False)
    elif not differing.is_empty():
        _print_days(differing)
    click.echo(f"{days.height:,} days compared, {differing.height:,} differ", err=True)
    sys.exit(1 if differing.height else 0)


@lake.command()
@click.option(
    "--keep-hours",
    default=KEEP_HOURS,
    show_default=True,
    type=click.IntRange(0),
    help="How long files that were replaced are kept for those who read them.",
)
@click.pass_obj
def optimize(settings: Settings, keep_hours: int) -> None:
    """Makes one file of the files of each month, and deletes those that were replaced."""
    with _opened(settings) as opened, exclusive_lock(opened.url, settings.db_timeout):
        _snapshot(settings)
        table = LakeTable(settings.lake)
        months = table.compact()
        deleted = table.vacuum(keep_hours)
    click.echo(f"{months:,} months compacted, {deleted:,} files deleted", err=True)


@click.command()
@click.option("--older-than", "days", required=True, type=click.IntRange(1), metavar="DAYS", help="Whole days, in UTC.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(settings: Settings, days: int, yes: bool) -> None:
    """Deletes results from the database that the lake is found to have whole; answers go on having them."""
    try:
        before = (datetime.now(UTC) - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    except OverflowError:
        raise click.UsageError(f"--older-than: there is no day {days:,} days ago") from None
    with _opened(settings) as opened, exclusive_lock(opened.url, settings.db_timeout):
        pruning = Pruning(opened.url, opened.postgres, _snapshot(settings), before, settings.db_timeout)
        with shown() as progress:
            found = pruning.prepare(progress)
        if not found:
            click.echo(f"nothing to prune before {before:%Y-%m-%d}", err=True)
            return
        question = f"Delete {found:,} results of before {before:%Y-%m-%d} from the database? The lake has them."
        if not yes:
            click.confirm(question, abort=True, err=True)
        deleted = 0
        with shown() as progress:
            for batch in pruning.delete_batches():
                deleted += batch
                progress("deleting", deleted, found)
            # what has been deleted has changed the database, and the lake is read again once it knows
            sync(opened.postgres, settings.lake, progress)
    click.echo(f"{deleted:,} results deleted", err=True)


def _synced(settings: Settings, rewrite: Rewrite, *, adopt: bool = False) -> None:
    with _opened(settings) as opened:
        try:
            with exclusive_lock(opened.url, settings.db_timeout), shown() as progress:
                done = sync(opened.postgres, settings.lake, progress, rewrite, adopt=adopt)
        except LakeConflict as conflict:
            click.echo(f"nothing done: {conflict}", err=True)
            return
    _tell(done)


def _tell(done: SyncResult) -> None:
    rewritten = f", {len(done.rewritten_days):,} days rewritten" if done.rewritten_days else ""
    reaches = f"the lake reaches id {done.watermark:,}, as of {done.as_of:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"{done.events:,} results written{rewritten}; {reaches}", err=True)


@contextmanager
def _opened(settings: Settings) -> Iterator[Opened]:
    url = open_migrated_database(settings)
    with closing(PostgresEvents(url, timeout=READ_TIMEOUT_SECONDS)) as postgres:
        try:
            yield Opened(url, postgres, settings)
        except (LakeError, StoreUnavailable, StoreTimeout, DatabaseUnavailable) as error:
            raise click.ClickException(str(error)) from None
        except psycopg2.Error as error:
            raise database_failure(error) from None


def _snapshot(settings: Settings) -> LakeSnapshot:
    snapshot = LakeEvents(settings.lake, timeout=READ_TIMEOUT_SECONDS).snapshot()
    if snapshot is None:
        raise LakeError(f"there is no lake in {settings.lake}; leaderboard lake sync makes one")
    return snapshot


def _print_days(days: pl.DataFrame) -> None:
    table = Table("day", box=None, header_style="bold", pad_edge=False)
    for heading in ("database", "lake"):
        table.add_column(heading, justify="right")
    table.add_column("checksums")
    for day, database, lake_has, database_sum, lake_sum, _ in days.iter_rows():
        same = "equal" if database_sum == lake_sum else "differ"
        table.add_row(str(day), f"{database:,}", f"{lake_has:,}", same)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
