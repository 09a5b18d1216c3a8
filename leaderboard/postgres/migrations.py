"""Brings the schema of the database to a version, beside golang-migrate on the same record.

The record is golang-migrate's table ``schema_migrations``: no row, or one row
(version, dirty). A file runs in one transaction with its record, so whatever
happens to the process, the database is at the version before it or at its own.
Only a file that cannot run in a transaction, marked by its first line
``-- no transaction``, is preceded by (version, true), and leaves that where it
does not end. Its statements, each ending a line with a semicolon, run one by
one, and are such that the whole file can be run once more, as the next start does.

Both locks that releases of golang-migrate take on the database are held
meanwhile. They are tried for and not waited for: a session that waits in a
statement would hold up another's CREATE INDEX CONCURRENTLY.
"""

import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import psycopg2

from leaderboard.postgres.admin import connect, unavailable
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.migration_files import Migration, load

log = logging.getLogger(__name__)

NO_TRANSACTION = "-- no transaction"
LOCK_SALT = 1486364155
LOCK_PAUSE = 0.1


@dataclass(frozen=True)
class Record:
    """What ``schema_migrations`` says: the version, None where there is none, and whether it was left half done."""

    version: int | None = None
    dirty: bool = False


def lock_ids(database: str, schema: str) -> list[int]:
    """The two advisory locks under which a database is migrated, in the order in which they are taken."""
    return [
        zlib.crc32(f"{schema}\0schema_migrations\0{name}".encode()) * LOCK_SALT % 2**32
        for name in (database, f"/{database}")
    ]


def migrate(url: str, timeout: float) -> None:
    """Applies what migrations of this project are pending. Raises DatabaseUnavailable and MigrationError."""
    with Migrator(url, timeout) as migrator:
        migrator.up()


class Migrator:
    """The migrations and the record of one database, over one connection; use it in a ``with`` statement."""

    def __init__(self, url: str, timeout: float, migrations: list[Migration] | None = None) -> None:
        """Connects, creating the database where there is none; ``timeout`` in seconds is for connecting.

        Raises DatabaseUnavailable where that cannot be done.
        """
        self.migrations = load() if migrations is None else migrations
        self._connection = connect(url, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._connection.close()
        if isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            raise unavailable(error) from error
        if isinstance(error, psycopg2.Error):
            raise MigrationError(f"the database refuses: {error.diag.message_primary}") from error

    def record(self) -> Record:
        """The record as it stands."""
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('schema_migrations')")
            if cursor.fetchone()[0] is None:
                return Record()
            cursor.execute("SELECT version, dirty FROM schema_migrations LIMIT 1")
            row = cursor.fetchone()
            return Record(*row) if row else Record()

    def pending(self) -> list[Migration]:
        """The migrations above the recorded version."""
        version = self.record().version or 0
        return [m for m in self.migrations if m.version > version]

    def up(self) -> None:
        """Applies what is pending. A version above all known ones is left alone: a newer release made it."""
        if not self.record().dirty and not self.pending():
            return
        with self._locked():
            self._finish()
            self._refuse_dirty()
            for migration in self.pending():
                self._apply(migration, "up", migration.version)

    def down(self, steps: int) -> None:
        """Takes back the last ``steps`` migrations."""
        with self._locked():
            self._refuse_dirty()
            self._take_back(self._applied()[-steps:] if steps else [])

    def goto(self, version: int) -> None:
        """Applies or takes back migrations until the record says ``version``; 0 takes back all."""
        if version and version not in {m.version for m in self.migrations}:
            raise MigrationError(f"there is no migration {version}; there are {self._known()}")
        with self._locked():
            self._refuse_dirty()
            for migration in self.pending():
                if migration.version <= version:
                    self._apply(migration, "up", migration.version)
            self._take_back([m for m in self._applied() if m.version > version])

    def force(self, version: int) -> None:
        """Records ``version`` as clean without running anything; 0 records that there is none."""
        with self._locked():
            self._record(Record(version or None))

    def _finish(self) -> None:
        """Runs a file once more that did not end, where it is one that can be."""
        record = self.record()
        for migration in self.migrations:
            if record.dirty and migration.version == record.version and _outside_transactions(migration.up):
                self._apply(migration, "up", migration.version)

    def _refuse_dirty(self) -> None:
        record = self.record()
        if record.dirty:
            raise MigrationError(
                f"the database is dirty at version {record.version}: a migration did not finish. See what it left, "
                "mend that by hand, then record the version the schema is really at: leaderboard migrate force V"
            )

    def _known(self) -> str:
        return ", ".join(str(m.version) for m in self.migrations) or "none"

    def _applied(self) -> list[Migration]:
        version = self.record().version or 0
        applied = [m for m in self.migrations if m.version <= version]
        if version and (not applied or applied[-1].version != version):
            raise MigrationError(f"the database is at version {version}, which is not known here: {self._known()}")
        return applied

    def _take_back(self, migrations: list[Migration]) -> None:
        for migration in reversed(migrations):
            below = [m.version for m in self.migrations if m.version < migration.version]
            self._apply(migration, "down", below[-1] if below else None)

    def _apply(self, migration: Migration, direction: str, result: int | None) -> None:
        sql = getattr(migration, direction)
        if sql is None:
            raise MigrationError(f"migration {migration.version} has no {direction} file")
        log.info("migrating %s: %s_%s", direction, migration.version, migration.name)
        try:
            if _outside_transactions(sql):
                self._record(Record(result, dirty=True))
                for statement in sql.split(";\n"):
                    if statement.strip():
                        self._execute(statement)
                self._record(Record(result))
            else:
                with self._transaction():
                    self._execute(sql)
                    self._record(Record(result))
        except psycopg2.Error as error:
            if self._connection.closed:
                raise
            reason = error.diag.message_primary or " ".join(str(error).split())
            raise MigrationError(
                f"migration {migration.version}_{migration.name}.{direction} failed: {reason}"
            ) from error

    def _execute(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            # without a second argument, so that a % in the file stays one
            cursor.execute(sql)

    def _record(self, record: Record) -> None:
        with self._transaction(), self._connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('schema_migrations')")
            if cursor.fetchone()[0] is None:
                cursor.execute(
                    "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)"
                )
            cursor.execute("DELETE FROM schema_migrations")
            if record.version is not None or record.dirty:
                version = -1 if record.version is None else record.version
                cursor.execute("INSERT INTO schema_migrations VALUES (%s, %s)", (version, record.dirty))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if not self._connection.autocommit:
            yield
            return
        self._connection.autocommit = False
        try:
            with self._connection:
                yield
        finally:
            if not self._connection.closed:
                self._connection.autocommit = True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), current_schema()")
            ids = lock_ids(*cursor.fetchone())
            for lock in ids:
                _take(cursor, lock)
            try:
                yield
            finally:
                if not self._connection.closed:
                    for lock in reversed(ids):
                        cursor.execute("SELECT pg_advisory_unlock(%s)", (lock,))


def _outside_transactions(sql: str | None) -> bool:
    return sql is not None and sql.startswith(NO_TRANSACTION)


def _take(cursor: psycopg2.extensions.cursor, lock: int) -> None:
    said = False
    while True:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (lock,))
        if cursor.fetchone()[0]:
            return
        if not said:
            log.info("waiting for another process that migrates the database")
            said = True
        time.sleep(LOCK_PAUSE)
