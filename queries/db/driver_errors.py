"""What the errors of the database drivers mean to a caller."""

import re
from typing import NamedTuple

import psycopg2

from queries.db.dsn import database_label
from queries.errors import ReadOnlyDatabase, SchemaMissing, StoreError, StoreTimeout, StoreUnavailable

# what the drivers and libpq put before the reason itself
_PREFIXES = re.compile(
    r"^(?:[A-Z_]+: )?(?:\[libpq\] )?(?:Failed to [a-z ]+: )?(?:Execution error \[\w+\]: )?"
    r"(?:connection to server .*? failed: )?(?:(?:FATAL|ERROR|PANIC): +)?"
)
# libpq gives no code for a connection that the server refuses, only the server's sentence
_TOO_MANY_CONNECTIONS = re.compile("too many (?:clients|connections)|connection slots are reserved|no more connections")
_NO_DATABASE = re.compile('database ".*" does not exist')


class Meaning(NamedTuple):
    """What a code of PostgreSQL means: the error that it becomes, and whether a new connection may be free of it.

    ``error`` is None where the statement is at fault: its error rises as the
    driver's own.
    """

    error: type[StoreError] | None
    new_connection_helps: bool = False


STATEMENT_ERROR = Meaning(None)
UNAVAILABLE = Meaning(StoreUnavailable)
CONNECTION_BROKEN = Meaning(StoreUnavailable, new_connection_helps=True)
READ_ONLY = Meaning(ReadOnlyDatabase, new_connection_helps=True)
TIMEOUT = Meaning(StoreTimeout)
SCHEMA_MISSING = Meaning(SchemaMissing)

SQLSTATE_MEANINGS = {
    # classes
    "08": CONNECTION_BROKEN,  # the connection was lost, or a pooler has no server for it
    "25": CONNECTION_BROKEN,  # the transaction is not in the state that we left it in, or has timed out while idle
    "26": CONNECTION_BROKEN,  # a prepared statement is gone, as behind a pooler
    "34": CONNECTION_BROKEN,  # a cursor is gone, as behind a pooler
    "28": UNAVAILABLE,  # the password or pg_hba.conf was changed; an administrator mends that
    "40": CONNECTION_BROKEN,  # rolled back: a deadlock, a serialization failure, a replica's recovery conflict
    "53": UNAVAILABLE,  # no disk, memory or connections left
    "55": UNAVAILABLE,  # something is in use, or not possible now, such as during recovery
    "57": CONNECTION_BROKEN,  # an administrator or the server ended the session, or the server starts or stops
    "58": UNAVAILABLE,  # the server's disk or operating system fails
    "72": UNAVAILABLE,  # the snapshot is too old
    "F0": UNAVAILABLE,  # the server's configuration files are faulty
    "HV": UNAVAILABLE,  # a foreign server does not work
    "XX": UNAVAILABLE,  # an internal error of the server, or corrupted data
    # single codes
    "25006": READ_ONLY,  # read-only: a standby, or a primary during a failover
    "25P04": TIMEOUT,  # transaction_timeout
    "2D000": CONNECTION_BROKEN,  # COMMIT or ROLLBACK is not possible here
    "3D000": SCHEMA_MISSING,  # the database does not exist
    "3F000": SCHEMA_MISSING,  # the schema does not exist
    "42P01": SCHEMA_MISSING,  # a table does not exist; all statements are ours, so it is one of ours
    "42703": SCHEMA_MISSING,  # a column does not exist
    "42501": UNAVAILABLE,  # the role may not read or write a table; an administrator mends that
    "42P05": CONNECTION_BROKEN,  # a prepared statement of another client, behind a pooler
    "42P03": CONNECTION_BROKEN,  # a cursor of another client, behind a pooler
    "55P02": STATEMENT_ERROR,  # the setting cannot be changed now
    "55P03": TIMEOUT,  # lock_timeout, or NOWAIT
    "55P04": STATEMENT_ERROR,  # a new enum value cannot be used yet
    "57014": TIMEOUT,  # statement_timeout, or an administrator cancelled the statement
    "57P04": SCHEMA_MISSING,  # the database was dropped
}
"""What PostgreSQL's codes mean, by their class (two characters) or whole. Of the rest the statement is at fault.

Source: PostgreSQL's manual, appendix "PostgreSQL Error Codes". A code that is
here itself does not go by its class.
"""


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
    """
    error_type = meaning_of(sqlstate, message, lost=lost).error
    if error_type is None:
        return None
    problem = "took too long" if error_type is StoreTimeout else "is not available"
    return error_type(f"{database_label(dsn)} {problem}: {_reason(message)}")


def meaning_of(sqlstate: str | None, message: str, *, lost: bool) -> Meaning:
    """What a driver's error means. See ``store_error`` for the parameters."""
    if sqlstate:
        # a plan that the session made before a table was altered; other unsupported features are the statement's fault
        if sqlstate == "0A000" and "cached plan" in message:
            return CONNECTION_BROKEN
        return SQLSTATE_MEANINGS.get(sqlstate, SQLSTATE_MEANINGS.get(sqlstate[:2], STATEMENT_ERROR))
    if not lost:
        return STATEMENT_ERROR
    return SCHEMA_MISSING if _NO_DATABASE.search(message) else CONNECTION_BROKEN


def is_connection_limit(error: Exception) -> bool:
    """Whether a driver could not connect because the server, the database, the role or a pooler has no more to give."""
    return bool(_TOO_MANY_CONNECTIONS.search(str(error)))


def _reason(message: str) -> str:
    """The first line of a driver's message, without prefixes. The other lines are hints, or the statement."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return _PREFIXES.sub("", line).strip(" .") or "no reason was given"
