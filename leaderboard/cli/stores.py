"""How commands open the database and the lake."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

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


def open_migrated_database(settings: Settings, *, complete_until: datetime | None = None) -> str:
    """As ``open_database``, after applying all migrations. Raises StoreUnavailable and MigrationError too.

    Of a standby, it says up to which moment it has the results. Raises
    ReadOnlyDatabase for a standby that has not replayed all that was
    committed before ``complete_until``.
    """
    from leaderboard.postgres.migrations import migrate
    from queries.errors import ReadOnlyDatabase

    url = open_database(settings)
    facts = migrate(url, settings.db_timeout)
    if facts.is_standby:
        reach = f"{facts.replayed_until:%Y-%m-%dT%H:%M:%SZ}" if facts.replayed_until else "an unknown moment"
        note = f"the database {facts.name} is a standby with the results committed until {reach}"
        if complete_until is not None and (facts.replayed_until is None or facts.replayed_until < complete_until):
            raise ReadOnlyDatabase(f"{note}; use its primary, or ask for an earlier time")
        click.echo(note, err=True)
    return url


def open_primary(
    settings: Settings, standby_lacks: str = "where nobody can tell which results are still to come"
) -> str:
    """As ``open_migrated_database``, for what a standby cannot do. Raises ReadOnlyDatabase for one.

    ``standby_lacks`` says in its message why: "a standby, which takes no changes".
    """
    from leaderboard.postgres.migrations import migrate
    from queries.errors import ReadOnlyDatabase

    url = open_database(settings)
    facts = migrate(url, settings.db_timeout)
    if facts.is_standby:
        raise ReadOnlyDatabase(f"the database {facts.name} is a standby, {standby_lacks}; use its primary")
    return url


def open_hybrid_events(settings: Settings, timeout: float, *, from_primary: bool = False) -> "HybridEvents":
    """All events, from the database and its lake. ``timeout`` is the limit for one read, in seconds.

    With ``from_primary``, raises ReadOnlyDatabase for a standby.
    """
    from queries import HybridEvents, LakeEvents, PostgresEvents

    url = open_primary(settings) if from_primary else open_migrated_database(settings)
    postgres = PostgresEvents(url, timeout=timeout)
    return HybridEvents(postgres, LakeEvents(settings.lake, timeout=timeout))
