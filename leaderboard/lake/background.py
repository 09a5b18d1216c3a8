"""Syncs the lake of a running service in the background."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from threading import Event, Thread

from leaderboard.lake.errors import LakeConflict, LakeError, NoPlaceForLake
from leaderboard.lake.lock import exclusive_lock
from leaderboard.lake.pace import Pace
from leaderboard.lake.registry import record_lake
from leaderboard.lake.sync import SyncOptions, sync
from leaderboard.lake.table import LakeTable
from leaderboard.storage.folders import why_not_writable
from queries import PostgresEvents, StoreTimeout, StoreUnavailable, hash64
from queries.concurrency import OutageLog

log = logging.getLogger(__name__)

READ_TIMEOUT_SECONDS = 600.0
"""The limit for one read of the database. No request waits for these reads."""
PROGRESS_LOG_SECONDS = 60.0
"""How often a long sync logs how far it is."""
KEEP_HOURS = 24
"""How long replaced files stay for readers that began before."""
MAX_START_DELAY_SECONDS = 10.0
"""The first sync of a process begins at most this long after its start."""
VACUUM_INTERVAL_SECONDS = 6 * 3600.0


class BackgroundSync:
    """Syncs the lake at ``lake_url`` with the database at ``url`` every ``interval`` seconds, on a thread.

    Every process on every machine may run one. A process that finds another
    one at work skips its turn. ``timeout`` is the limit for connecting, in seconds.

    ``obstacle`` says why this machine cannot keep the lake, or is None. That
    is no failure: the service works without one.
    """

    obstacle: str | None = None

    def __init__(self, url: str, lake_url: str, interval: float, timeout: float) -> None:
        self._url = url
        self._lake_url = lake_url
        self._interval = interval
        self._timeout = timeout
        # a standby, for example, is never synced
        self._outage_log = OutageLog("the sync of the lake", log)
        self._closed = Event()
        self._last_vacuum = self._last_progress = time.monotonic()
        self._thread = Thread(target=self._sync_loop, name="lake-sync", daemon=True)

    def start(self) -> None:
        """Starts the thread. Does nothing if the interval is 0."""
        if self._interval:
            self._thread.start()

    def close(self) -> None:
        """Waits up to 1 s for the current sync. One that takes longer is cut off; what it committed stays."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _sync_loop(self) -> None:
        # a process that has just started answers requests first
        self._closed.wait(min(self._interval, MAX_START_DELAY_SECONDS))
        while not self._closed.is_set():
            try:
                self._sync_once()
                self.obstacle = None
                self._outage_log.worked()
            except NoPlaceForLake as error:
                if self.obstacle is None:
                    log.info("this machine keeps no lake: %s", error)
                self.obstacle = str(error)
            except LakeConflict as conflict:
                log.debug("lake sync skipped: %s", conflict)
            except (LakeError, StoreUnavailable, StoreTimeout) as error:
                self._outage_log.failed(error)
            except BaseException:
                # a panic of a library is no Exception; the next sync may work
                log.exception("lake sync failed")
            self._closed.wait(self._interval)

    def _sync_once(self) -> None:
        self._check_place()
        # only the process that has the lock holds a connection for reads, and only until the end of its sync
        with (
            exclusive_lock(self._url, self._lake_url, self._timeout) as lock,
            closing(PostgresEvents(self._url, timeout=READ_TIMEOUT_SECONDS, connections=1)) as postgres,
        ):
            database = hash64(postgres.state().database)
            # a lake that begins holds up pruning until it has what is pruned
            record_lake(self._url, self._lake_url, self._timeout, database)
            began = self._last_progress = time.monotonic()
            options = SyncOptions(
                pace=Pace(rest=self._closed.wait), before_commit=lambda: self._check_commit(lock.check)
            )
            result = sync(postgres, self._lake_url, self._log_progress, options)
            record_lake(self._url, self._lake_url, self._timeout, database)
            level = logging.INFO if self._last_progress > began else logging.DEBUG
            log.log(level, "the lake reaches id %s after %s new events", result.watermark, result.events)
            if time.monotonic() >= self._last_vacuum + VACUUM_INTERVAL_SECONDS:
                LakeTable(self._lake_url).vacuum(KEEP_HOURS)
                self._last_vacuum = time.monotonic()

    def _check_place(self) -> None:
        if reason := why_not_writable(self._lake_url):
            raise NoPlaceForLake(reason)

    def _check_commit(self, check_lock: Callable[[], None]) -> None:
        # each step may be the one that fills the disk
        self._check_place()
        check_lock()

    def _log_progress(self, activity: str, done: int, total: int) -> None:
        if self._closed.is_set():
            raise LakeError("the service is stopping")
        if total and time.monotonic() >= self._last_progress + PROGRESS_LOG_SECONDS:
            self._last_progress = time.monotonic()
            log.info("lake sync: %s %s of about %s events (%s %%)", activity, done, total, 100 * done // total)
