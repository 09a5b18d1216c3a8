"""Builds and holds the stores of one process."""

import logging
import time
from datetime import timedelta
from typing import Self, cast

from flask import current_app

from leaderboard.counted_log import CountedLog
from leaderboard.event_reader import EventReader
from leaderboard.exclusions.registry import ExclusionList, ExclusionRegistry
from leaderboard.health import HealthCheck
from leaderboard.lake.background import BackgroundSync
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.pool import Database
from leaderboard.postgres.readiness import Readiness
from leaderboard.regions.refusals import RefusedRegions
from leaderboard.regions.registry import READ_SECONDS, RegionList, RegionRegistry
from leaderboard.results.refusals import RefusalLog
from leaderboard.results.writer import ResultWriter
from leaderboard.settings import MIN_CONNECTIONS, Settings
from leaderboard.status.reader import StatusReader
from queries import DecodedLake, HybridEvents, LakeEvents, LakeSnapshot, LiveEvents, PostgresEvents
from queries.db import DirectConnection
from queries.errors import StoreError, StoreTimeout, StoreUnavailable

log = logging.getLogger(__name__)


class Service:
    """The settings and the stores of one process.

    A store is available when the database has this release's schema. Until
    then its property raises StoreUnavailable.
    """

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings = settings
        self._url = url
        timeout = settings.db_timeout
        # two more are for single posts and for the snapshots of the live window
        shared, checks, reads = _divide_connections(settings.db_connections)
        self._database = Database(url, timeout, connections=shared)
        self._check_database = Database(url, timeout, connections=checks) if checks else self._database
        self._hybrid = HybridEvents(
            PostgresEvents(url, timeout=timeout, connections=reads),
            LakeEvents(settings.lake, timeout=timeout),
            waits_for_lake=False,
        )
        self._live_events = LiveEvents(
            self._hybrid,
            DecodedLake(settings.decoded_lake_folder, settings.decoded_lake_mib << 20),
            warm_window=timedelta(hours=settings.start_time_window),
            memory_bytes=settings.live_memory_mib << 20,
            reload_interval=settings.live_reload_interval,
        )
        self._regions = RegionRegistry(
            self._database,
            settings.regions_cache_timeout,
            settings.catalyst_region_url,
            auto_register=settings.auto_register_regions,
        )
        self.exclusions = ExclusionRegistry(self._check_database)
        self._insert_connection = DirectConnection(url, timeout)
        self._result_writer = ResultWriter(self._database, self._regions, self._insert_connection)
        self._lake_sync = BackgroundSync(url, settings.lake, settings.lake_sync_interval, timeout)
        self.readiness = Readiness(url, self._check_database, timeout, self._start)
        self.events = EventReader(self._live_events, self.readiness, trusts_lake=settings.lake_is_of_database)
        self.health = HealthCheck(self)
        self.status = StatusReader(self)
        self.refusal_log = RefusalLog()
        self.refused_regions = RefusedRegions(self._database)
        self.failure_log = CountedLog(logging.getLogger("leaderboard.web.errors"))

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Opens the stores and migrates the database.

        Where the database is unavailable or not ours, requests get 503, and
        the first one after that has changed migrates it. Raises
        EmbeddedPostgresError.
        """
        url = settings.postgres
        if url is None:
            embedded = EmbeddedPostgres(settings.data_dir)
            url = embedded.acquire()
            embedded.watch()
        service = cls(settings, url)
        try:
            service.ensure_ready()
        except (StoreError, MigrationError) as error:
            # a worker that refused to start would end the others with it
            log.warning("starting without the database: %s", error)
        return service

    @property
    def database(self) -> Database:
        """The pool for small reads and writes."""
        self.ensure_ready()
        return self._database

    def writer_by(self, deadline: float) -> ResultWriter:
        """The writer of posted results. Waits for the database until ``deadline``, a moment of time.monotonic()."""
        try:
            self.ensure_ready(max(0.001, deadline - time.monotonic()))
        except StoreTimeout as error:
            raise StoreUnavailable(str(error)) from error
        return self._result_writer

    def region_list(self) -> RegionList:
        """The registered regions. While the database is unavailable, as they were last read."""
        self._ensure_ready_or(self._regions.is_known)
        return self._regions.all()

    def exclusion_list(self, *, with_removed: bool) -> ExclusionList:
        """The exclusions. While the database is unavailable, as they were last read."""
        self._ensure_ready_or(self.exclusions.is_known)
        return self.exclusions.all(with_removed=with_removed)

    def lake(self) -> LakeSnapshot | None:
        """The newest version of the lake, or None where there is none. Raises StoreUnavailable and StoreTimeout."""
        return self._hybrid.lake()

    @property
    def lake_obstacle(self) -> str | None:
        """Why this machine cannot keep a lake, or None. The service works without one."""
        return self._lake_sync.obstacle

    def last_write_failed(self) -> bool:
        """Whether a post could not be stored a moment ago, and none was stored since."""
        return self._result_writer.failures.has_just_failed

    def ensure_ready(self, timeout: float | None = None) -> None:
        """Returns when the database has this release's schema; see Readiness.ensure."""
        self.readiness.ensure(timeout)

    def _ensure_ready_or(self, is_known: bool) -> None:
        """As ``ensure_ready``, but what is known in memory is answered without the database."""
        try:
            self.ensure_ready(READ_SECONDS if is_known else None)
        except (StoreError, MigrationError):
            if not is_known:
                raise

    def _start(self) -> None:
        try:
            # these must find a slot, whatever readers hold then
            self._insert_connection.open()
            self._hybrid.open()
        except StoreUnavailable as error:
            log.warning("no connections for posts and snapshots yet: %s", error)
        self._regions.load()
        self.exclusions.start()
        self._live_events.start()
        self._lake_sync.start()

    def close(self) -> None:
        """Closes the connections and ends the threads."""
        self.readiness.close()
        self.exclusions.close()
        self._lake_sync.close()
        self.refusal_log.close()
        self.failure_log.close()
        self.refused_regions.close()
        self._database.close()
        self._check_database.close()
        self._insert_connection.close()
        self._live_events.close()


def _divide_connections(connections: int) -> tuple[int, int, int]:
    """How many connections batches and regions have, how many checks of the database have, and how many reads have.

    Of all connections of a worker, single posts and the snapshots of the live
    window have one each. With the fewest, checks have none of their own.
    """
    checks = 1 if connections > MIN_CONNECTIONS else 0
    return 1, checks, connections - 3 - checks


def service() -> Service:
    """The service of the current app."""
    return cast("Service", current_app.extensions["leaderboard"])
