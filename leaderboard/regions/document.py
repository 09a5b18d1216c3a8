"""When the region document is read: beside the requests, which wait for it for a moment at most."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Lock

from leaderboard.regions.catalyst import CatalystError, read_regions
from leaderboard.regions.region_table import RegionKey
from queries.concurrency import RETRY_SECONDS, OutageLog, run_in_thread

log = logging.getLogger(__name__)


class RegionDocument:
    """The document at CATALYST_REGION_URL, which is read in the background, once at a time.

    ``add`` takes the display names by code and job type that were read, and
    stores the new ones. What goes wrong is logged, and concerns nobody else. After a failure
    nobody waits for the document until it could be read again.
    """

    def __init__(self, url: str, refresh_seconds: float, add: Callable[[dict[RegionKey, str]], None]) -> None:
        self._url = url
        self._refresh_seconds = refresh_seconds
        self._add = add
        self._outage_log = OutageLog("the region document", log)
        self._lock = Lock()
        self._reading: Future[None] | None = None
        self._next_read = 0.0
        self._is_failing = False

    def refresh(self, wait_seconds: float) -> None:
        """Begins to read the document where its time has come, and waits for the end of that for so long at most."""
        with self._lock:
            now = time.monotonic()
            if (self._reading is None or self._reading.done()) and now >= self._next_read:
                # a failure, or a reading that takes long, must not be followed by another one at once
                self._next_read = now + RETRY_SECONDS
                self._reading = run_in_thread(self._read)
            reading, skips = self._reading, self._is_failing
        if reading is not None and not skips:
            wait([reading], wait_seconds)

    def _read(self) -> None:
        began = time.monotonic()
        try:
            self._add(read_regions(self._url))
        except Exception as error:  # noqa: BLE001  whatever it is, the next one may work
            self._is_failing = True
            self._outage_log.failed(CatalystError(f"no regions are added from CATALYST_REGION_URL: {error}"))
        else:
            self._is_failing = False
            self._next_read = began + self._refresh_seconds
            self._outage_log.worked()
