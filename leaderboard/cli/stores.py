"""How commands open the database and the lake."""

from typing import TYPE_CHECKING

from leaderboard.settings import Settings
from leaderboard.signals import exit_on_signals

if TYPE_CHECKING:
    from queries import HybridEvents


def open_database(settings: Settings) -> str:
    """The URL of the database. The embedded server runs until the command ends. Raises EmbeddedPostgresError."""
    exit_on_signals()
    if settings.postgres is not None:
        return settings.postgres
    # not needed where the settings name a database
    from leaderboard.postgres.embedded import database_url

    return database_url(settings.postgres, settings.data_dir)


def open_migrated_database(settings: Settings) -> str:
    """As ``open_database``, after applying all migrations. Raises StoreUnavailable and MigrationError too."""
    from leaderboard.postgres.migrations import migrate

    url = open_database(settings)
    migrate(url, settings.db_timeout)
    return url


def open_hybrid_events(settings: Settings, timeout: float) -> "HybridEvents":
    """All events, from the database and its lake. ``timeout`` is the limit for one read, in seconds."""
    from queries import HybridEvents, LakeEvents, PostgresEvents

    postgres = PostgresEvents(open_migrated_database(settings), timeout=timeout)
    return HybridEvents(postgres, LakeEvents(settings.lake, timeout=timeout))
