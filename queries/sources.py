"""Where events come from."""

from queries.postgres import PostgresEvents


def open_events(url: str) -> PostgresEvents:
    """The source behind a URL: ``postgresql://user@host/database`` (or ``postgres://``).

    Raises ValueError for any other.
    """
    if url.startswith(("postgres://", "postgresql://")):
        return PostgresEvents(url)
    raise ValueError(f"no source of events is known for {url!r}; valid is postgresql://user@host/database")
