"""Connections for administration, from before the database exists."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2
from psycopg2.errors import DuplicateDatabase, InvalidParameterValue, ObjectInUse, UniqueViolation, WrongObjectType
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, make_dsn, parse_dsn
from psycopg2.extensions import connection as Connection  # noqa: N812  it is a class
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class
from psycopg2.sql import SQL, Identifier

from queries.db import BEGIN_WITHOUT_LIMITS, conninfo, translate_psycopg2_error
from queries.errors import StoreUnavailable

log = logging.getLogger(__name__)

NEW_DATABASE_SECONDS = 20
"""The limit for connecting to a database that was just created. PgBouncer tries again 15 s after a login failed."""


def connect(url: str, timeout: float, *, may_create: bool = True) -> Connection:
    """A connection in autocommit whose statements may take as long as they need.

    With ``may_create``, creates the database in UTF8 where it does not exist
    and the role may create it.
    ``timeout`` is the limit for connecting, in seconds. Raises
    StoreUnavailable.
    """
    dsn = conninfo(url, timeout)
    try:
        try:
            return _open(dsn)
        except psycopg2.OperationalError:
            if not may_create or not _create_database(dsn):
                raise
            return _open(make_dsn(dsn, connect_timeout=NEW_DATABASE_SECONDS))
    except psycopg2.OperationalError as error:
        raise translate_psycopg2_error(error, dsn) from error


@contextmanager
def transaction(connection: Connection) -> Iterator[Cursor]:
    """A cursor in a transaction whose statements may take as long as they need. Inside another one, a part of that.

    What it sets ends with it, because a pooler may give the server connection
    to another client then. Errors roll back and rise as they are.
    """
    with connection.cursor() as cursor:
        if connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            yield cursor
            return
        cursor.execute(BEGIN_WITHOUT_LIMITS)
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(psycopg2.Error):
                cursor.execute("ROLLBACK")
            raise


def is_pooled(connection: Connection) -> bool:
    """Whether a pooler is between us and the server: then the server's process has not the pid that we were told."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((pid,),) = cursor.fetchall()
    return bool(pid != connection.info.backend_pid)


def _open(dsn: str) -> Connection:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


def _create_in_utf8(cursor: Cursor, name: str) -> None:
    # template1 may have another encoding, or tables of its own
    statement = SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(Identifier(name))
    try:
        cursor.execute(statement)
    except (InvalidParameterValue, WrongObjectType):
        # the cluster's locale is for another encoding; the locale C is for all
        cursor.execute(statement + SQL(" LC_COLLATE 'C' LC_CTYPE 'C'"))


def _create_database(dsn: str) -> bool:
    """Creates the database if it does not exist. False where nobody can tell, because the server is unavailable."""
    parameters = parse_dsn(dsn)
    name = parameters.get("dbname") or parameters.get("user")
    if not name:
        return False
    try:
        maintenance = _open(make_dsn(dsn, dbname="postgres"))
    except psycopg2.OperationalError:
        return False
    try:
        with maintenance.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is not None:
                return True
            try:
                _create_in_utf8(cursor, name)
                log.info("created the database %s", name)
            except (DuplicateDatabase, UniqueViolation, ObjectInUse):
                log.info("another process created the database %s", name)
            except psycopg2.Error as error:
                raise StoreUnavailable(
                    f"the database {name} does not exist and cannot be created: {error.diag.message_primary}"
                ) from error
    finally:
        maintenance.close()
    return True
