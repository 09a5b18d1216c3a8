"""What the errors of the database drivers mean to a caller."""

import re

import psycopg2

from queries.db.dsn import database_label
from queries.errors import StoreError, StoreTimeout, StoreUnavailable

# what the drivers and libpq put before the reason itself
_PREFIXES = re.compile(
    r"^(?:[A-Z_]+: )?(?:\[libpq\] )?(?:Failed to [a-z ]+: )?(?:Execution error \[\w+\]: )?"
    r"(?:connection to server .*? failed: )?(?:(?:FATAL|ERROR|PANIC): +)?"
)


def translate_psycopg2_error(error: psycopg2.Error, dsn: str) -> StoreError | psycopg2.Error:
    """The StoreError that an error of psycopg2 stands for, or the error itself where the statement is at fault.

    ``dsn`` is the URL or connection string of the database.
    """
    # the plain DatabaseError is what psycopg2 makes of libpq's own failures, such as a connection that was closed
    lost = (
        isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)) or type(error) is psycopg2.DatabaseError
    )
    return store_error(dsn, error.pgcode, str(error), lost=lost) or error


def is_outcome_known(error: psycopg2.Error) -> bool:
    """Whether an error in response to COMMIT tells that nothing was stored.

    The server's own errors do. Without an SQLSTATE the connection was lost,
    class 08 is what a pooler sends for that, and 40003 says it in so many
    words: the transaction may be committed.
    """
    state = error.pgcode or ""
    return bool(state) and state[:2] != "08" and state != "40003"


def store_error(dsn: str, sqlstate: str | None, message: str, *, lost: bool) -> StoreError | None:
    """The StoreError that an error of a database driver stands for, or None where the statement is at fault.

    ``dsn`` is the URL or connection string of the database and ``message``
    the text of the driver. The error names the host, the port, the database
    and the driver's reason, but no password. ``sqlstate`` is PostgreSQL's
    code; where the driver gave none, ``lost`` tells whether it had no working
    connection.

    Codes: 57014 is a cancelled statement, which statement_timeout leaves.
    Class 08 is a lost connection; 53 a shortage of disk, memory or
    connections; 57 a server that stops or starts. 25006 is a standby, which
    accepts no writes.
    """
    state = sqlstate or ""
    if state == "57014":
        return StoreTimeout(f"{database_label(dsn)} took too long: {_reason(message)}")
    if state[:2] in ("08", "53", "57") or state == "25006" or (lost and not state):
        return StoreUnavailable(f"{database_label(dsn)} is not available: {_reason(message)}")
    return None


def _reason(message: str) -> str:
    """The first line of a driver's message, without prefixes. The other lines are hints, or the statement."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return _PREFIXES.sub("", line).strip(" .") or "no reason was given"
