"""Keeps the newest version of the lake mapped into memory."""

import logging
import time
from threading import Event, Thread

from queries.errors import StoreError
from queries.sources.decoded import DecodedLake, MappedEvents
from queries.sources.hybrid import HybridEvents

log = logging.getLogger(__name__)

LAKE_POLL_SECONDS = 5.0
"""How often the thread looks for a new version of the lake."""
RETRY_SECONDS = 60.0
"""How often it tries again to decode what could not be decoded, because a disk was full for example."""


class LakeMapper:
    """Maps the lake of ``source`` on a thread, and decodes it where no other process has.

    Without ``decoded``, nothing is ever mapped.
    """

    def __init__(self, source: HybridEvents, decoded: DecodedLake | None) -> None:
        self._source = source
        self._decoded = decoded
        self._opened = Event()
        self._closed = Event()
        self._retry_at = 0.0
        self._thread = Thread(target=self._loop, name="lake-mapper", daemon=True)
        self.newest: MappedEvents | None = None
        """The newest version that is mapped, or None where there is none."""

    def start(self) -> None:
        """Starts the thread."""
        if self._decoded is not None:
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Waits until the thread has looked for the lake once, but no longer than so many seconds."""
        if self._thread.is_alive():
            self._opened.wait(seconds)

    def close(self) -> None:
        """Ends the thread. Decoding that is under way ends with the process, and leaves nothing wrong."""
        self._closed.set()

    def _loop(self) -> None:
        while not self._closed.is_set():
            try:
                self._update()
            except StoreError as error:
                # the source's log says more
                log.debug("the lake is not up to date: %s", error)
            except BaseException:
                # a panic of a library is no Exception
                log.exception("cannot map the lake")
            self._opened.set()
            self._closed.wait(LAKE_POLL_SECONDS)

    def _update(self) -> None:
        snapshot, newest = self._source.lake(), self.newest
        if self._decoded is None or snapshot is None:
            self.newest = None
            return
        is_new = newest is None or newest.snapshot.version != snapshot.version
        if newest is None:
            # scans what is not decoded yet
            newest = self.newest = self._decoded.open(snapshot)
            self._opened.set()
        has_all = newest.is_complete and newest.snapshot.version == snapshot.version
        if not has_all and (is_new or time.monotonic() >= self._retry_at):
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._decoded.decode(snapshot)
            self.newest = self._decoded.open(snapshot)
