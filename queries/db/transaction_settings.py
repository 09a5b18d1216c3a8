"""What each of our transactions sets for itself, whatever the role, the database or the environment has set.

A session must not keep anything, because a pooler may give the server
connection to another client after each transaction.
"""

import re

from psycopg2.extensions import parse_dsn

DEFAULT_SEARCH_PATH = '"$user", public'
"""PostgreSQL's own default."""


def transaction_settings(dsn: str, timeout: float) -> str:
    """SQL statements that are the first of a transaction. They return no rows and need no snapshot.

    ``dsn`` is the URL or connection string of the database. The server
    cancels each statement that takes longer than ``timeout`` seconds; 0 means
    no limit.
    """
    # 0 would mean no limit
    milliseconds = max(1, round(timeout * 1000)) if timeout else 0
    return (
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
        f"SET LOCAL search_path = {search_path(dsn)}; "
        "SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; "
        f"SET LOCAL statement_timeout = {milliseconds}"
    )


def search_path(dsn: str) -> str:
    """The schemas in which our tables are looked for: those of the URL's ``options``, or PostgreSQL's default.

    >>> search_path("postgresql://host/leaderboard?options=-csearch_path%3Dscores,public")
    '"scores", "public"'
    """
    options = parse_dsn(dsn).get("options") or ""
    # in options, a space within a value is written with a backslash
    found = re.findall(r"(?:-c\s*|--)search_path=((?:\\.|\S)*)", options)
    if not found:
        return DEFAULT_SEARCH_PATH
    names = re.sub(r"\\(.)", r"\1", found[-1]).split(",")
    return ", ".join(_quote(name.strip()) for name in names)


def _quote(name: str) -> str:
    if name.startswith('"'):
        return name
    # as PostgreSQL reads a name without quotes
    return '"' + name.lower().replace('"', '""') + '"'
