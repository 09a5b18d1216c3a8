"""What golang-migrate keeps in a database: the record of its version, and the locks for changing it.

The record is the table ``schema_migrations``. It has no row, or one row
(version, dirty).
"""

import zlib
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

LOCK_SALT = 1486364155
"""golang-migrate's own constant."""


@dataclass(frozen=True)
class Record:
    """The version of the schema, None where there is none, and whether a migration was interrupted."""

    version: int | None = None
    dirty: bool = False


def read_record(cursor: Cursor) -> Record:
    """The record of the database."""
    if not _has_record_table(cursor):
        return Record()
    cursor.execute("SELECT version, dirty FROM schema_migrations LIMIT 1")
    row = cursor.fetchone()
    return Record(*row) if row else Record()


def write_record(cursor: Cursor, record: Record) -> None:
    """Replaces the record, in the caller's transaction."""
    if not _has_record_table(cursor):
        cursor.execute("CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)")
    cursor.execute("DELETE FROM schema_migrations")
    if record.version is not None or record.dirty:
        version = -1 if record.version is None else record.version
        cursor.execute("INSERT INTO schema_migrations VALUES (%s, %s)", (version, record.dirty))


def lock_ids(database: str, schema: str) -> list[int]:
    """The ids of the two advisory locks, in the order in which they are taken.

    Releases of golang-migrate differ in which of the two they take. Source:
    ``GenerateAdvisoryLockId`` in its package ``database``.
    """
    return [
        zlib.crc32(f"{schema}\0schema_migrations\0{name}".encode()) * LOCK_SALT % 2**32
        for name in (database, f"/{database}")
    ]


def _has_record_table(cursor: Cursor) -> bool:
    cursor.execute("SELECT to_regclass('schema_migrations')")
    return _only_row(cursor)[0] is not None


def _only_row(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return row
