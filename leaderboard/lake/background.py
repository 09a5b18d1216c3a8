"""Has a running service bring its lake up to date by itself."""

import logging
import time
from contextlib import closing
from threading import Event, Thread

from leaderboard.lake.lock import alone
from leaderboard.lake.sync import sync
from leaderboard.lake.table import ENOUGH_FILES, LakeConflict, LakeError, LakeTable
from queries import PostgresEvents, StoreTimeout, StoreUnavailable

log = logging.getLogger(__name__)

READ_TIMEOUT = 600.0
"""Seconds for one read of the database; nobody waits for an answer."""
KEEP_HOURS = 24
"""For how long files that were replaced are kept for those who read them."""
FIRST_PAUSE = 10.0
"""Seconds at most before the first sync of a process."""
VACUUM_EVERY = 6 * 3600.0
"""Seconds."""


class BackgroundSync:
    """Syncs the lake at ``lake`` with the database behind ``url`` every ``interval`` seconds, on a thread.

    Every process of every machine may run one: those that find another one at
    work leave it to that one.
    """

    def __init__(self, url: str, lake: str, interval: float, timeout: float) -> None:
        self._url = url
        self._lake = lake
        self._interval = interval
        self._timeout = timeout
        self._closed = Event()
        self._vacuumed = time.monotonic()
        self._thread = Thread(target=self._keep, name="lake-keeper", daemon=True)

    def start(self) -> None:
        """Begins; without an interval, does nothing."""
        if self._interval:
            self._thread.start()

    def close(self) -> None:
        """Ends after the sync that is under way, or cuts it off, which leaves the lake as it was."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(1)

    def _keep(self) -> None:
        # a process that starts has to answer first
        self._closed.wait(min(self._interval, FIRST_PAUSE))
        with closing(PostgresEvents(self._url, timeout=READ_TIMEOUT, connections=2)) as postgres:
            while not self._closed.is_set():
                try:
                    self._once(postgres)
                except LakeConflict as conflict:
                    log.debug("the lake is left to another process: %s", conflict)
                except LakeError as error:
                    log.warning("%s", error)
                except (StoreUnavailable, StoreTimeout) as error:
                    log.warning("the lake is not brought up to date: %s", error)
                except Exception:
                    log.exception("the lake could not be brought up to date")
                self._closed.wait(self._interval)

    def _once(self, postgres: PostgresEvents) -> None:
        with alone(self._url, self._timeout):
            done = sync(postgres, self._lake, self._progress)
            log.debug("the lake reaches id %s, with %s more events", done.watermark, done.events)
            table = LakeTable(self._lake)
            table.compact(ENOUGH_FILES)
            if time.monotonic() >= self._vacuumed + VACUUM_EVERY:
                table.vacuum(KEEP_HOURS)
                self._vacuumed = time.monotonic()

    def _progress(self, doing: str, done: int, total: int) -> None:
        if self._closed.is_set():
            raise LakeError("the sync was broken off, as the service ends")
        if total and done:
            log.debug("lake: %s %s of about %s events", doing, done, total)
