"""How both database drivers connect."""

from math import ceil

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

SILENCE = 5
"""Seconds after which a database is away that takes no connection, or whose host confirms nothing that is sent."""


def conninfo(url: str, timeout: float, *, only_reads: bool = False) -> str:
    """The libpq connection string of a ``postgres://`` or ``postgresql://`` URL; its own options win.

    ``timeout`` is in seconds, for connecting. What only reads gives up a host
    that falls silent; what writes waits for it, as nobody can tell what was
    written. Raises ValueError, without the URL in it, where libpq cannot read
    the URL.
    """
    try:
        given = parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise ValueError("not a PostgreSQL URL; valid is postgresql://user:password@host:5432/database") from None
    defaults = {
        "application_name": "leaderboard",
        # libpq counts whole seconds and takes 1 for 2
        "connect_timeout": max(2, min(SILENCE, ceil(timeout))),
        # a peer that vanished without a word is given up after about a minute
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    if only_reads:
        defaults["tcp_user_timeout"] = SILENCE * 1000
    return make_dsn(**(defaults | given))


def statement_timeout(timeout: float) -> str:
    """The statement that has the server end what takes longer than ``timeout`` seconds."""
    # 0 would be no limit
    return f"SET statement_timeout = {max(1, round(timeout * 1000))}"
