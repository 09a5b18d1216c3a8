"""What the views are given to work with."""

import logging
from concurrent.futures import Future
from datetime import timedelta
from threading import Lock
from typing import Self

from flask import current_app

from leaderboard.bootstrap import DatabaseUnavailable
from leaderboard.database import Database
from leaderboard.embedded import EmbeddedPostgres
from leaderboard.ingest import Ingest
from leaderboard.migrate import migrate
from leaderboard.regions import Regions
from leaderboard.settings import Settings
from queries import LiveEvents, PostgresEvents, StoreUnavailable
from queries.deadline import GRACE, background
from queries.direct import DirectConnection

log = logging.getLogger(__name__)


class Service:
    """The settings and the stores of one process.

    The stores are given out once the database is at this release's schema;
    until it can be reached they raise StoreUnavailable.
    """

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings = settings
        self._url = url
        self._database = Database(url, settings.db_timeout)
        self._events = LiveEvents(
            PostgresEvents(url, timeout=settings.db_timeout),
            warm=timedelta(hours=settings.start_time_window),
            memory=settings.live_memory << 20,
            reread=settings.live_reread,
        )
        self._regions = Regions(self._database, settings.regions_cache_timeout, settings.catalyst_region_url)
        self._writer = DirectConnection(url, settings.db_timeout)
        self._ingest = Ingest(self._database, self._regions, self._writer)
        self._ready = False
        self._lock = Lock()
        self._migration: Future[None] | None = None

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Opens the stores and migrates the database, later where it is away just now."""
        url = settings.postgres
        if url is None:
            embedded = EmbeddedPostgres(settings.data_dir)
            url = embedded.acquire()
            embedded.watch()
        service = cls(settings, url)
        try:
            service.ensure_ready()
        except StoreUnavailable as error:
            log.warning("starting without the database, which is not available: %s", error)
        return service

    @property
    def database(self) -> Database:
        """Where small things are asked and written."""
        self.ensure_ready()
        return self._database

    @property
    def ingest(self) -> Ingest:
        """What stores results."""
        self.ensure_ready()
        return self._ingest

    @property
    def events(self) -> LiveEvents:
        """Where events are read."""
        self.ensure_ready()
        return self._events

    @property
    def regions(self) -> Regions:
        """Where regions are looked up."""
        self.ensure_ready()
        return self._regions

    def ensure_ready(self) -> None:
        """Returns once this process has seen the database migrated, or migrated it.

        A migration may take longer than anybody waits for it; it goes on
        while this raises StoreUnavailable. Raises MigrationError where the
        database is in no state to be migrated.
        """
        if self._ready:
            return
        with self._lock:
            if self._migration is None or self._migration.done():
                self._migration = background(migrate, self._url, self.settings.db_timeout)
            migration = self._migration
        try:
            migration.result(self.settings.db_timeout + GRACE)
        except TimeoutError as error:
            raise StoreUnavailable("the database is being migrated") from error
        except DatabaseUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        with self._lock:
            if not self._ready:
                self._ready = True
                self._events.start()

    def close(self) -> None:
        """Closes the connections."""
        self._database.close()
        self._writer.close()
        self._events.close()


def service() -> Service:
    """The service of the current app."""
    return current_app.extensions["leaderboard"]
