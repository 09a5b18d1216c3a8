"""What the views are given to work with."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from threading import Lock
from typing import Self

from flask import current_app

from leaderboard.lake.background import BackgroundSync
from leaderboard.postgres.admin import DatabaseUnavailable
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.migrations import migrate
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import Regions
from leaderboard.results.writer import Ingest
from leaderboard.settings import Settings
from queries import EventWindow, HybridEvents, LakeEvents, LiveEvents, PostgresEvents, StoreUnavailable
from queries.concurrency import CLIENT_MARGIN_SECONDS, run_in_thread
from queries.db import DirectConnection

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
        # asked through look and results
        self.live_events = LiveEvents(
            HybridEvents(
                PostgresEvents(url, timeout=settings.db_timeout),
                LakeEvents(settings.lake, timeout=settings.db_timeout),
            ),
            warm_window=timedelta(hours=settings.start_time_window),
            memory_bytes=settings.live_memory << 20,
            reload_interval=settings.live_reread,
        )
        self._regions = Regions(self._database, settings.regions_cache_timeout, settings.catalyst_region_url)
        self._writer = DirectConnection(url, settings.db_timeout)
        self._ingest = Ingest(self._database, self._regions, self._writer)
        self._lake_keeper = BackgroundSync(url, settings.lake, settings.sync_interval, settings.db_timeout)
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

    def events_at(self, since: datetime, until: datetime) -> EventWindow:
        """The events of a window; where the database is away, as far as memory and the lake have all of them."""
        try:
            self.ensure_ready()
            return self.live_events.at(since, until)
        except StoreUnavailable as error:
            return self._remembered(error, self.live_events.window_during_outage, since, until)

    def results_at(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> EventWindow:
        """The results of one orchestrator; where the database is away, as far as the lake has all of them."""
        try:
            self.ensure_ready()
            return self.live_events.results(orchestrator, since, until, job_type)
        except StoreUnavailable as error:
            return self._remembered(error, self.live_events.results_during_outage, orchestrator, since, until, job_type)

    def _remembered(self, error: StoreUnavailable, read: Callable[..., EventWindow], *asked: object) -> EventWindow:
        if not (self._ready or self.settings.lake_is_ours):
            # nothing has told yet whose the lake is
            raise error
        log.warning("answering from memory and the lake: %s", error)
        return read(*asked)

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
                self._migration = run_in_thread(migrate, self._url, self.settings.db_timeout)
            migration = self._migration
        try:
            migration.result(self.settings.db_timeout + CLIENT_MARGIN_SECONDS)
        except TimeoutError as error:
            raise StoreUnavailable("the database is being migrated") from error
        except DatabaseUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        with self._lock:
            if not self._ready:
                self._ready = True
                self.live_events.start()
                self._lake_keeper.start()

    def close(self) -> None:
        """Closes the connections."""
        self._lake_keeper.close()
        self._database.close()
        self._writer.close()
        self.live_events.close()


def service() -> Service:
    """The service of the current app."""
    return current_app.extensions["leaderboard"]
