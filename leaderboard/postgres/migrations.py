"""Changes the schema of the database from version to version.

Written by hand because nothing else in Python keeps golang-migrate's record,
which the service's predecessor shares.

A file runs in one transaction with its record, so that an interrupted process
leaves the database at the version before the file or at the file's own. A file
that cannot run in a transaction begins with the line ``-- no transaction``.
The record is then (version, true) while the file runs, and stays so when the
file fails. Each of its statements ends a line with a semicolon. The next start
runs the whole file again, which its statements must allow.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import psycopg2
from psycopg2.errors import LockNotAvailable, QueryCanceled
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class
from psycopg2.extensions import parse_dsn

from leaderboard.postgres.admin import connect, is_pooled, transaction
from leaderboard.postgres.database_facts import DatabaseFacts, read_facts
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.golang_migrate import Record, lock_ids, read_record, write_record
from leaderboard.postgres.migration_files import Migration, load
from queries.db import AdvisoryLock, translate_psycopg2_error
from queries.errors import ReadOnlyDatabase, StoreError, StoreUnavailable

log = logging.getLogger(__name__)

NO_TRANSACTION = "-- no transaction"
ACCESS_OR_SYNTAX_CLASS = "42"
"""PostgreSQL's class "Syntax Error or Access Rule Violation"."""
LOCK_RETRY_SECONDS = 0.1
LOCK_REMINDER_SECONDS = 10.0
"""How often the log says that another process holds the lock."""
MAX_IDLE_LOCK_SECONDS = 60.0
"""A session that holds the lock and was idle for longer was left behind. A migration keeps running statements."""


def migrate(url: str, timeout: float, *, may_create: bool = True) -> DatabaseFacts:
    """Applies the pending migrations of this project, and returns what the database is then.

    A standby that has them is left as it is. With ``may_create``, a database
    that does not exist is created. Raises StoreError, and MigrationError
    where the database is not ours or cannot hold our data.
    """
    with Migrator(url, timeout, may_create=may_create) as migrator:
        migrator.up()
        return migrator.facts()


class Migrator:
    """Migrates one database over one connection. Use it in a ``with`` statement.

    Its methods raise MigrationError, and StoreError where the connection is
    lost.
    """

    def __init__(
        self, url: str, timeout: float, migrations: list[Migration] | None = None, *, may_create: bool = True
    ) -> None:
        """Connects, and creates the database where it does not exist, with ``may_create``.

        ``timeout`` is the limit for connecting, in seconds. Raises
        StoreUnavailable, and MigrationError where the database cannot hold
        our data or has another program's record.
        """
        self.migrations = load() if migrations is None else migrations
        self._makes_our_tables = migrations is None
        self._url = url
        self._timeout = timeout
        self._lock: AdvisoryLock | None = None
        self._connection = connect(url, timeout, may_create=may_create)
        try:
            facts = self.facts()
            facts.check_encoding()
            facts.check_record(url_names_schema="search_path" in parse_dsn(url).get("options", ""))
        except BaseException as error:
            self.__exit__(None, error, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._connection.close()
        if isinstance(error, psycopg2.Error):
            if (passing := self._passing_error(error)) is not None:
                raise passing from error
            raise MigrationError(f"the database refuses: {error.diag.message_primary}") from error

    def facts(self) -> DatabaseFacts:
        """What the database is now."""
        with transaction(self._connection) as cursor:
            return read_facts(cursor)

    def record(self) -> Record:
        """The version that the database has now."""
        with transaction(self._connection) as cursor:
            return read_record(cursor)

    def pending(self) -> list[Migration]:
        """The migrations above the recorded version."""
        version = self.record().version or 0
        return [m for m in self.migrations if m.version > version]

    def up(self) -> None:
        """Applies the pending migrations. A version above all known ones stays: a newer release made it.

        A standby gets its schema from its primary. Raises ReadOnlyDatabase
        where it has not got it yet.
        """
        facts = self.facts()
        if self._makes_our_tables:
            facts.check_tables()
        if facts.is_standby and (facts.record.dirty or self.pending()):
            raise ReadOnlyDatabase(
                f"the database {facts.name} is a standby without this release's schema; migrate its primary first"
            )
        if (version := facts.record.version or 0) > self._newest_version():
            log.warning("a newer release made the schema: it has version %s, and this one knows %s", version,
                        self._newest_version())  # fmt: skip
        if not self.record().dirty and not self.pending():
            return
        with self._locked():
            self._repeat_interrupted()
            self._check_clean()
            for migration in self.pending():
                self._apply(migration, "up", migration.version)

    def down(self, steps: int) -> None:
        """Reverts the last ``steps`` migrations."""
        with self._locked():
            self._check_clean()
            self._revert(self._applied()[-steps:] if steps else [])

    def goto(self, version: int) -> None:
        """Applies or reverts migrations until the record says ``version``. 0 reverts all."""
        if version and version not in {m.version for m in self.migrations}:
            raise MigrationError(f"there is no migration {version}; there are {self._known_versions()}")
        with self._locked():
            self._check_clean()
            for migration in self.pending():
                if migration.version <= version:
                    self._apply(migration, "up", migration.version)
            self._revert([m for m in self._applied() if m.version > version])

    def force(self, version: int) -> None:
        """Records ``version`` as clean without running anything. 0 records that there is none."""
        with self._locked():
            self._write_record(Record(version or None))

    def _repeat_interrupted(self) -> None:
        """Runs an interrupted file again, if it is one that allows it."""
        record = self.record()
        for migration in self.migrations:
            if record.dirty and migration.version == record.version and _runs_outside_transaction(migration.up):
                self._apply(migration, "up", migration.version)

    def _check_clean(self) -> None:
        record = self.record()
        if record.dirty:
            raise MigrationError(
                f"the database is dirty at version {record.version}: a migration was interrupted. Repair by hand what "
                "it left, then record the version that the schema really has: leaderboard migrate force V"
            )

    def _newest_version(self) -> int:
        return max((m.version for m in self.migrations), default=0)

    def _known_versions(self) -> str:
        return ", ".join(str(m.version) for m in self.migrations) or "none"

    def _applied(self) -> list[Migration]:
        version = self.record().version or 0
        applied = [m for m in self.migrations if m.version <= version]
        if version and (not applied or applied[-1].version != version):
            raise MigrationError(
                f"the database is at version {version}, which is not known here: {self._known_versions()}"
            )
        return applied

    def _revert(self, migrations: list[Migration]) -> None:
        for migration in reversed(migrations):
            below = [m.version for m in self.migrations if m.version < migration.version]
            self._apply(migration, "down", below[-1] if below else None)

    def _apply(self, migration: Migration, direction: str, new_version: int | None) -> None:
        sql = getattr(migration, direction)
        if sql is None:
            raise MigrationError(f"migration {migration.version} has no {direction} file")
        log.info("migrating %s: %s_%s", direction, migration.version, migration.name)
        try:
            self._run_file(sql, new_version)
        except psycopg2.Error as error:
            if self._connection.closed or self._passing_error(error) is not None:
                raise
            reason = error.diag.message_primary or " ".join(str(error).split())
            raise MigrationError(
                f"migration {migration.version}_{migration.name}.{direction} failed: {reason}"
            ) from error

    def _passing_error(self, error: psycopg2.Error) -> StoreError | None:
        """The StoreError of an error that may pass. In a migration, a missing table or right does not pass."""
        translated = translate_psycopg2_error(error, self._url)
        is_refused = (error.pgcode or "").startswith(ACCESS_OR_SYNTAX_CLASS)
        return translated if isinstance(translated, StoreError) and not is_refused else None

    def _run_file(self, sql: str, new_version: int | None) -> None:
        if not _runs_outside_transaction(sql):
            with transaction(self._connection) as cursor:
                # without a second argument, psycopg2 leaves a % in the file as it is
                cursor.execute(sql)
                self._write_record(Record(new_version))
            return
        self._write_record(Record(new_version, dirty=True))
        pooled = is_pooled(self._connection)
        with self._connection.cursor() as cursor:
            if not pooled:
                # the session is ours alone, and ends with this migrator
                cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
            for statement in sql.split(";\n"):
                if statement.strip():
                    _execute_outside_transaction(cursor, statement, pooled=pooled)
        self._write_record(Record(new_version))

    def _write_record(self, record: Record) -> None:
        with transaction(self._connection) as cursor:
            write_record(cursor, record)
            if self._lock is not None:
                # the lock may have been lost together with its connection
                self._lock.check()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds golang-migrate's locks, so that no other process changes the schema meanwhile."""
        with transaction(self._connection) as cursor:
            cursor.execute("SELECT current_database(), current_schema()")
            ((database, schema),) = cursor.fetchall()
        with AdvisoryLock(self._url, self._timeout, lock_ids(database, schema)) as lock:
            _wait_for(lock)
            self._lock = lock
            try:
                yield
            finally:
                self._lock = None


def _execute_outside_transaction(cursor: Cursor, statement: str, *, pooled: bool) -> None:
    try:
        cursor.execute(statement)
    except (QueryCanceled, LockNotAvailable) as error:
        if not pooled:
            raise
        raise MigrationError(
            f"a statement ran out of time behind a pooler ({error.diag.message_primary}); "
            "run leaderboard migrate with the direct URL of the database"
        ) from error


def _wait_for(lock: AdvisoryLock) -> None:
    """Returns once the lock is ours. Raises StoreUnavailable where a session that does nothing keeps it."""
    next_reminder = 0.0
    while not lock.acquire():
        if time.monotonic() >= next_reminder:
            next_reminder = time.monotonic() + LOCK_REMINDER_SECONDS
            holder = lock.holder()
            if holder and holder.is_idle_session and holder.age.total_seconds() > MAX_IDLE_LOCK_SECONDS:
                raise StoreUnavailable(
                    f"{holder} keeps the lock for migrations and does nothing; another program has left it behind a "
                    f"pooler. End it with SELECT pg_terminate_backend({holder.pid})"
                )
            log.info("waiting for another process that migrates the database: %s", holder)
        time.sleep(LOCK_RETRY_SECONDS)


def _runs_outside_transaction(sql: str | None) -> bool:
    return sql is not None and sql.startswith(NO_TRANSACTION)
