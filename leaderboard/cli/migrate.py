"""``leaderboard migrate``."""

import click

from leaderboard.cli.stores import open_database
from leaderboard.postgres.migrations import Migrator
from leaderboard.settings import Settings


@click.group()
def migrate() -> None:
    """Shows and changes the version of the database's schema."""


@migrate.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Prints the version, whether it is dirty, and the pending migrations."""
    with _open_migrator(settings) as migrator:
        _print_version(migrator)
        for migration in migrator.pending():
            click.echo(f"pending: {migration.version}_{migration.name}")


@migrate.command()
@click.pass_obj
def up(settings: Settings) -> None:
    """Applies all pending migrations."""
    with _open_migrator(settings) as migrator:
        migrator.up()
        _print_version(migrator)


@migrate.command()
@click.argument("steps", metavar="N", type=click.IntRange(1))
@click.pass_obj
def down(settings: Settings, steps: int) -> None:
    """Reverts the last N migrations.

    This deletes the data that they brought: reverting the first one deletes
    all results.
    """
    with _open_migrator(settings) as migrator:
        migrator.down(steps)
        _print_version(migrator)


@migrate.command()
@click.argument("version", metavar="V", type=click.IntRange(0))
@click.pass_obj
def goto(settings: Settings, version: int) -> None:
    """Applies or reverts migrations until the version is V."""
    with _open_migrator(settings) as migrator:
        migrator.goto(version)
        _print_version(migrator)


@migrate.command()
@click.argument("version", metavar="V", type=click.IntRange(0))
@click.pass_obj
def force(settings: Settings, version: int) -> None:
    """Records version V as clean and runs nothing. For use after a manual repair."""
    with _open_migrator(settings) as migrator:
        migrator.force(version)
        _print_version(migrator)


def _open_migrator(settings: Settings) -> Migrator:
    return Migrator(open_database(settings), settings.db_timeout)


def _print_version(migrator: Migrator) -> None:
    record = migrator.record()
    click.echo(f"version: {record.version or 0}{' (dirty)' if record.dirty else ''}")
