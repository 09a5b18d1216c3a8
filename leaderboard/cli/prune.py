"""``leaderboard prune``."""

from datetime import UTC, datetime, timedelta

import click

from leaderboard.cli.lake import lock_existing_lake, open_lake_database, read_snapshot
from leaderboard.cli.output.progress import show_progress
from leaderboard.lake.prune import Pruning
from leaderboard.lake.sync import SyncOptions, sync
from leaderboard.settings import Settings


@click.command()
@click.option("--older-than", "days", required=True, type=click.IntRange(1), metavar="DAYS", help="Whole UTC days.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def prune(settings: Settings, days: int, yes: bool) -> None:
    """Deletes old results from the database once the lake holds them.

    It first checks that the lake holds each day whole. Scores still include
    the deleted results, because the service reads them from the lake.
    """
    before = _midnight(days)
    with open_lake_database(settings) as opened, lock_existing_lake(settings, opened.url, for_prune=True) as lock:
        snapshot = read_snapshot(settings)
        pruning = Pruning(opened.url, opened.postgres, snapshot, before, settings.db_timeout, lock.check)
        with show_progress() as progress:
            found = pruning.prepare(progress)
        if not found:
            click.echo(f"nothing to prune before {before:%Y-%m-%d}", err=True)
            return
        question = f"Delete {found:,} results from before {before:%Y-%m-%d} from the database? The lake has them."
        if not yes:
            click.confirm(question, abort=True, err=True)
        deleted = 0
        with show_progress() as progress:
            for batch in pruning.delete_batches():
                deleted += batch
                progress("deleting", deleted, found)
            # the database has changed, and the service reads the lake again only when the lake records that
            sync(opened.postgres, settings.lake, progress, SyncOptions(before_commit=lock.check))
    click.echo(f"{deleted:,} results deleted", err=True)


def _midnight(days: int) -> datetime:
    try:
        return (datetime.now(UTC) - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    except OverflowError:
        raise click.UsageError(f"--older-than: there is no day {days:,} days ago") from None
