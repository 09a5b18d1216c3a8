"""What can go wrong with the schema and with the embedded server."""


class MigrationError(Exception):
    """The schema cannot be brought to the wanted version. The message says what to do."""


class EmbeddedPostgresError(Exception):
    """The embedded server cannot run. The message says why, in one line."""
