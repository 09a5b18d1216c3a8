"""How commands come to their database."""

import click

from leaderboard.postgres.admin import DatabaseUnavailable
from leaderboard.postgres.embedded import database_url
from leaderboard.postgres.errors import EmbeddedPostgresError, MigrationError
from leaderboard.postgres.migrations import migrate
from leaderboard.settings import Settings
from leaderboard.signals import exit_on_signals
from queries import HybridEvents, LakeEvents, PostgresEvents


class DatabaseAway(click.ClickException):
    """The database cannot be reached; the same command may work later."""


def open_database(settings: Settings) -> str:
    """The URL of the database, the embedded one running until the command ends."""
    exit_on_signals()
    try:
        return database_url(settings.postgres, settings.data_dir)
    except EmbeddedPostgresError as error:
        raise click.ClickException(str(error)) from None


def open_migrated_database(settings: Settings) -> str:
    """As ``open_database``, of a database at this release's schema."""
    url = open_database(settings)
    try:
        migrate(url, settings.db_timeout)
    except DatabaseUnavailable as error:
        raise DatabaseAway(str(error)) from None
    except MigrationError as error:
        raise click.ClickException(str(error)) from None
    return url


def open_stored_events(settings: Settings, timeout: float) -> HybridEvents:
    """All events, of the database and its lake; ``timeout`` is seconds for one read."""
    postgres = PostgresEvents(open_migrated_database(settings), timeout=timeout)
    return HybridEvents(postgres, LakeEvents(settings.lake, timeout=timeout))
