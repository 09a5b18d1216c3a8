"""``leaderboard lake``."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import click
import polars as pl

from leaderboard.cli.output.progress import show_progress
from leaderboard.cli.output.tables import print_table
from leaderboard.cli.stores import open_primary
from leaderboard.lake.background import KEEP_HOURS, READ_TIMEOUT_SECONDS
from leaderboard.lake.errors import LakeConflict, LakeError
from leaderboard.lake.lock import exclusive_lock
from leaderboard.lake.registry import record_lake
from leaderboard.lake.status import read_status
from leaderboard.lake.sync import Rewrite, SyncOptions, SyncResult, sync
from leaderboard.lake.table import LakeTable
from leaderboard.lake.verify import compare_days
from leaderboard.plain_text import escape_controls
from leaderboard.settings import Settings
from queries import LakeEvents, LakeSnapshot, PostgresEvents, hash64
from queries.db import AdvisoryLock
from queries.times import MIN_TIME


class OpenDatabase(NamedTuple):
    """The migrated database and its source of events."""

    url: str
    postgres: PostgresEvents


@click.group()
def lake() -> None:
    """Exports settled results to the lake, a Delta table, and maintains it.

    LAKE_URL says where the lake is.
    """


@lake.command(name="sync")
@click.pass_obj
def sync_command(settings: Settings) -> None:
    """Adds all settled results that the lake lacks, and rewrites the days that were changed in the database."""
    _sync(settings, Rewrite.IF_CHANGED)


@lake.command()
@click.pass_obj
def rebuild(settings: Settings) -> None:
    """Rewrites all days that the database still holds.

    Readers see the lake as it was until the new one is complete.
    """
    _sync(settings, Rewrite.ALL)


@lake.command()
@click.pass_obj
def adopt(settings: Settings) -> None:
    """Makes this database the owner of a lake that another database filled.

    Use it after restoring a database from a backup. Days that differ are
    rewritten.
    """
    _sync(settings, Rewrite.DIFFERENT, adopt=True)


@lake.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(settings: Settings, as_json: bool) -> None:
    """Prints how far the lake reaches, how far it is behind the database, and its size."""
    with open_lake_database(settings) as opened:
        snapshot = read_snapshot(settings)
        figures = read_status(opened.postgres, snapshot, settings.lake).to_dict()
    if as_json:
        click.echo(json.dumps(figures))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else value
        click.echo(f"{name.replace('_', ' '):{width}}  {escape_controls(str(shown))}")


@lake.command()
@click.option("--json", "as_json", is_flag=True, help="Print every day as a line of JSON, not only those that differ.")
@click.pass_obj
def verify(settings: Settings, as_json: bool) -> None:
    """Compares each day's count and checksum with the database.

    Prints the days that differ, and exits with 1 if there are any.
    """
    with open_lake_database(settings) as opened, show_progress() as progress:
        snapshot = read_snapshot(settings)
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
    help="How long replaced files stay, for queries that still read them.",
)
@click.pass_obj
def optimize(settings: Settings, keep_hours: int) -> None:
    """Merges the files of each month into a few, and deletes files that were replaced."""
    with open_lake_database(settings) as opened, lock_existing_lake(settings, opened.url):
        table = LakeTable(settings.lake)
        months = table.compact()
        deleted = table.vacuum(keep_hours)
    click.echo(f"{months:,} months compacted, {deleted:,} files deleted", err=True)


@contextmanager
def open_lake_database(settings: Settings) -> Iterator[OpenDatabase]:
    """The database that the lake belongs to, until the end of the ``with`` statement. Refuses a standby."""
    url = open_primary(settings)
    with closing(PostgresEvents(url, timeout=READ_TIMEOUT_SECONDS)) as postgres:
        yield OpenDatabase(url, postgres)


def read_snapshot(settings: Settings) -> LakeSnapshot:
    """The current snapshot of the lake. Raises LakeError where there is no lake."""
    snapshot = LakeEvents(settings.lake, timeout=READ_TIMEOUT_SECONDS).snapshot()
    if snapshot is None:
        raise LakeError(f"there is no lake in {settings.lake}; leaderboard lake sync makes one")
    return snapshot


@contextmanager
def lock_existing_lake(settings: Settings, url: str, *, for_prune: bool = False) -> Iterator[AdvisoryLock]:
    """As ``exclusive_lock``, but raises LakeError where there is no lake."""
    read_snapshot(settings)
    with exclusive_lock(url, settings.lake, settings.db_timeout, for_prune=for_prune) as lock:
        yield lock


def _sync(settings: Settings, rewrite: Rewrite, *, adopt: bool = False) -> None:
    with open_lake_database(settings) as opened:
        try:
            with exclusive_lock(opened.url, settings.lake, settings.db_timeout) as lock, show_progress() as progress:
                options = SyncOptions(rewrite, adopt, before_commit=lock.check)
                synced = sync(opened.postgres, settings.lake, progress, options)
                database = hash64(opened.postgres.state().database)
                record_lake(opened.url, settings.lake, settings.db_timeout, database)
        except LakeConflict as conflict:
            click.echo(f"nothing done: {conflict}", err=True)
            return
    click.echo(_summary(synced), err=True)


def _summary(synced: SyncResult) -> str:
    rewritten = f", {len(synced.rewritten_days):,} days rewritten" if synced.rewritten_days else ""
    upgraded = f", {synced.upgraded_files:,} files of an older release upgraded" if synced.upgraded_files else ""
    reach = f"the lake reaches id {synced.watermark:,}, as of {synced.as_of:%Y-%m-%d %H:%M:%S} UTC"
    return f"{synced.events:,} results written{rewritten}{upgraded}; {reach}"


def _print_days(days: pl.DataFrame) -> None:
    rows = (
        (str(day), f"{database:,}", f"{lake_count:,}", "equal" if database_sum == lake_sum else "differ")
        for day, database, lake_count, database_sum, lake_sum, _ in days.iter_rows()
    )
    print_table({"day": False, "database": True, "lake": True, "checksums": False}, rows, pipe_width=120)
