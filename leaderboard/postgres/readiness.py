"""Whether the database of a service has our tables: at first, and after it was replaced."""

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import psycopg2

from leaderboard.postgres.database_facts import DatabaseFacts, read_facts
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.migrations import migrate
from leaderboard.postgres.pool import Database
from queries.concurrency import CLIENT_MARGIN_SECONDS, OutageLog, run_in_thread
from queries.errors import SchemaMissing, StoreError, StoreTimeout, StoreUnavailable

if TYPE_CHECKING:
    from concurrent.futures import Future

log = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
"""How often a thread checks that the tables are still there."""
RETRY_SECONDS = 0.1
"""The pause after a migration that failed, so that not every request tries."""
RECREATE_SECONDS = 10.0
"""How long a database must have been gone before it is created again: somebody may be about to restore it."""


class Readiness:
    """Migrates the database at ``url`` when it is first needed, and again when its tables are gone.

    ``database`` is the pool over which it is checked. ``timeout`` is the
    limit for one operation in seconds. ``on_ready`` is called once, when the
    database is ready for the first time. Threads may share a Readiness.
    """

    def __init__(self, url: str, database: Database, timeout: float, on_ready: Callable[[], None]) -> None:
        self._url = url
        self._database = database
        self._timeout = timeout
        self._on_ready = on_ready
        self._is_ready = False
        self._was_ready = False
        self._facts: DatabaseFacts | None = None
        self._lock = Lock()
        self._migration: Future[DatabaseFacts] | None = None
        self._retry_at = 0.0
        self._gone_since: float | None = None
        self._log = OutageLog("the schema of the database", log)
        self._closed = Event()
        self._thread = Thread(target=self._watch, name="watch-schema", daemon=True)

    @property
    def was_ready(self) -> bool:
        """Whether the database has ever been ready."""
        return self._was_ready

    @property
    def facts(self) -> DatabaseFacts | None:
        """What the database was at the last check, or None where that failed."""
        return self._facts

    def ensure(self, timeout: float | None = None) -> None:
        """Returns when the database has this release's schema, which it gets here if need be.

        A migration that takes longer than a request may wait goes on in the
        background, and this raises StoreUnavailable meanwhile. With
        ``timeout`` in seconds, it raises StoreTimeout after these. Raises
        MigrationError where the database cannot be migrated.
        """
        if self._is_ready:
            return
        with self._lock:
            migration = self._migration
            if migration is None or migration.done():
                migration = self._migration = run_in_thread(self._migrate)
        try:
            facts = migration.result(timeout or self._timeout + CLIENT_MARGIN_SECONDS)
        except TimeoutError as error:
            if timeout is not None:
                raise StoreTimeout(f"the database was not ready within {timeout:g} s") from error
            raise StoreUnavailable("the database is being migrated") from error
        self._set_ready(facts)

    def check(self, timeout: float) -> DatabaseFacts:
        """What the database is now. The next request migrates it, if its tables are gone or another program's.

        ``timeout`` is in seconds. Raises StoreError.
        """
        try:
            facts = self._database.run(read_facts, timeout)
        except SchemaMissing:
            self._distrust(is_gone=True)
            raise
        except psycopg2.Error as error:
            raise StoreUnavailable(f"the database cannot be checked: {error.diag.message_primary}") from error
        self._facts, self._gone_since = facts, None
        if not facts.is_ours:
            self._distrust(is_gone=False)
        return facts

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()

    def _migrate(self) -> DatabaseFacts:
        # those who ask meanwhile share this attempt
        self._closed.wait(max(0, self._retry_at - time.monotonic()))
        gone_since = self._gone_since
        may_create = gone_since is None or time.monotonic() >= gone_since + RECREATE_SECONDS
        try:
            facts = migrate(self._url, self._timeout, may_create=may_create)
        except (StoreError, MigrationError) as error:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._log.failed(error)
            raise
        self._log.worked()
        return facts

    def _set_ready(self, facts: DatabaseFacts) -> None:
        with self._lock:
            if self._is_ready:
                return
            self._facts, self._gone_since, self._migration, self._is_ready = facts, None, None, True
            begins, self._was_ready = not self._was_ready, True
        if begins:
            self._on_ready()
            self._thread.start()

    def _distrust(self, *, is_gone: bool) -> None:
        with self._lock:
            if is_gone and self._gone_since is None:
                self._gone_since = time.monotonic()
            if self._is_ready:
                log.warning("the database was replaced, or its tables were dropped; checking it again")
            self._is_ready = False

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            try:
                self.check(self._timeout)
                self.ensure()
            except (StoreError, MigrationError) as error:
                self._facts = None
                log.debug("the database is not ready: %s", error)
            except Exception:
                log.exception("cannot check the database")
