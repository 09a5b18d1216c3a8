"""``leaderboard migrate``."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from leaderboard.cli.stores import open_database
from leaderboard.postgres.admin import DatabaseUnavailable
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.migrations import Migrator
from leaderboard.settings import Settings


@click.group()
def migrate() -> None:
    """Looks at and changes the version of the database's schema."""


@migrate.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Tells the version, whether it is dirty, and what is pending."""
    with _migrator(settings) as migrator:
        _tell(migrator)
        for migration in migrator.pending():
            click.echo(f"pending: {migration.version}_{migration.name}")


@migrate.command()
@click.pass_obj
def up(settings: Settings) -> None:
    """Applies every pending migration."""
    with _migrator(settings) as migrator:
        migrator.up()
        _tell(migrator)


@migrate.command()
@click.argument("steps", metavar="N", type=click.IntRange(1))
@click.pass_obj
def down(settings: Settings, steps: int) -> None:
    """Takes back the last N migrations, and with them what they hold: the first one holds every result."""
    with _migrator(settings) as migrator:
        migrator.down(steps)
        _tell(migrator)


@migrate.command()
@click.argument("version", metavar="V", type=click.IntRange(0))
@click.pass_obj
def goto(settings: Settings, version: int) -> None:
    """Applies or takes back migrations until version V."""
    with _migrator(settings) as migrator:
        migrator.goto(version)
        _tell(migrator)


@migrate.command()
@click.argument("version", metavar="V", type=click.IntRange(0))
@click.pass_obj
def force(settings: Settings, version: int) -> None:
    """Records version V as clean without running anything, after a repair by hand."""
    with _migrator(settings) as migrator:
        migrator.force(version)
        _tell(migrator)


@contextmanager
def _migrator(settings: Settings) -> Iterator[Migrator]:
    try:
        with Migrator(open_database(settings), settings.db_timeout) as migrator:
            yield migrator
    except (MigrationError, DatabaseUnavailable) as error:
        raise click.ClickException(str(error)) from None


def _tell(migrator: Migrator) -> None:
    record = migrator.record()
    click.echo(f"version: {record.version or 0}{' (dirty)' if record.dirty else ''}")
