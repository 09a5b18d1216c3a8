"""Where events come from."""

from queries.lake import SCHEMES, LakeEvents
from queries.postgres import PostgresEvents
from queries.stored import StoredEvents


def open_events(url: str, *, lake: str | None = None, timeout: float = 20.0) -> StoredEvents | LakeEvents:
    """The source behind a URL: a database's, or a lake's.

    ``postgresql://user@host/database`` (or ``postgres://``) is a database, with
    ``lake`` the lake that it is exported to; any other URL, or a folder, is a
    lake. ``timeout`` is the seconds that one read may take. Raises ValueError
    for a URL that cannot be read.
    """
    if url.startswith(("postgres://", "postgresql://")):
        past = None if lake is None else LakeEvents(lake, timeout=timeout)
        return StoredEvents(PostgresEvents(url, timeout=timeout), past)
    if lake is not None:
        raise ValueError("a lake goes with the URL of a database, postgresql://user@host/database")
    scheme, separator, _ = url.partition("://")
    if not url or (separator and scheme not in SCHEMES):
        raise ValueError(
            f"no source of events is known for {url!r}; valid are postgresql://user@host/database, the folder of a "
            f"lake, and {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
        )
    return LakeEvents(url, timeout=timeout)
