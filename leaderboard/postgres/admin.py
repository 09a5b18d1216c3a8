"""Connects to the database before there is a schema, and makes the database where it is not there."""

import logging
from math import ceil

import psycopg2
from psycopg2.errors import DuplicateDatabase, ObjectInUse, UniqueViolation
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn, parse_dsn
from psycopg2.sql import SQL, Identifier

log = logging.getLogger(__name__)


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or made; the same call may work later."""


def connect(url: str, timeout: float) -> Connection:
    """A connection in autocommit that no time-out of the database's own ends; ``timeout`` in seconds is for connecting.

    Creates the database where there is none and the role may. Raises
    DatabaseUnavailable.
    """
    # libpq counts whole seconds and takes 1 for 2; what the URL itself says holds
    dsn = make_dsn(**({"connect_timeout": max(2, ceil(timeout))} | parse_dsn(url)))
    try:
        try:
            return _open(dsn)
        except psycopg2.OperationalError:
            if not _create_database(dsn):
                raise
            return _open(dsn)
    except psycopg2.OperationalError as error:
        raise unavailable(error) from error


def unavailable(error: psycopg2.Error) -> DatabaseUnavailable:
    """What an error of a connection means to a caller, on one line."""
    return DatabaseUnavailable(" ".join(str(error).split()))


def _open(dsn: str) -> Connection:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET lock_timeout = 0")
    return connection


def _create_database(dsn: str) -> bool:
    """Whether the database is there, made here or by another process that was as quick."""
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
                cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
                log.info("created the database %s", name)
            except (DuplicateDatabase, UniqueViolation, ObjectInUse):
                log.info("another process created the database %s", name)
            except psycopg2.Error as error:
                raise DatabaseUnavailable(
                    f"the database {name} does not exist and cannot be created: {error.diag.message_primary}"
                ) from error
    finally:
        maintenance.close()
    return True
