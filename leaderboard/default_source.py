"""Tells ``queries`` which database and lake the settings name, for callers that give no URL."""

from leaderboard.postgres.embedded import database_url
from leaderboard.settings import Settings


def default_source() -> tuple[str, str]:
    """The URLs of the database and of the lake.

    The embedded PostgreSQL, where the settings name no other, runs until this
    process ends. Raises SettingsError and EmbeddedPostgresError.
    """
    settings = Settings.load()
    return database_url(settings.postgres, settings.data_dir), settings.lake
