"""The exclusions of a database, held in memory."""

import logging
from datetime import UTC, datetime
from threading import Event, Thread
from typing import NamedTuple

import psycopg2

from leaderboard.exclusions.exclusion_table import StoredExclusion, select_exclusions
from leaderboard.postgres.pool import Database
from queries import Exclusion
from queries.concurrency import OutageLog
from queries.errors import StoreError, StoreUnavailable

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""How often a thread reads the table again."""
READ_SECONDS = 1.0
"""How long one reading may take."""


class ExclusionList(NamedTuple):
    """Exclusions in the order in which they were added.

    ``as_of`` is when they were read, where the database is unavailable since
    then, else None.
    """

    exclusions: tuple[StoredExclusion, ...]
    as_of: datetime | None = None


class ExclusionRegistry:
    """The exclusions of a database. A change is seen within a few seconds.

    While the database is unavailable, these are the last known ones. Before
    the first reading there are none. Threads may share an ExclusionRegistry.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_read: ExclusionList | None = None
        self._active: tuple[Exclusion, ...] = ()
        self._is_failing = False
        self._outage_log = OutageLog("the table of exclusions", log)
        self._closed = Event()
        self._thread = Thread(target=self._poll, name="exclusions", daemon=True)

    def active(self) -> tuple[Exclusion, ...]:
        """Those that count now, in the order in which they were added."""
        return self._active

    @property
    def is_known(self) -> bool:
        """Whether they were read, so that ``all`` never raises."""
        return self._last_read is not None

    def all(self, *, with_removed: bool = False) -> ExclusionList:
        """The exclusions that count, and with ``with_removed`` the others too.

        Raises StoreUnavailable where they were never read.
        """
        found = self._last_read
        if found is None:
            raise StoreUnavailable("the exclusions were not read yet")
        listed = tuple(stored for stored in found.exclusions if with_removed or stored.is_active)
        return ExclusionList(listed, found.as_of if self._is_failing else None)

    def load(self) -> None:
        """Reads them now. Logs where that fails."""
        now = datetime.now(UTC)
        try:
            found = self._database.run(select_exclusions, READ_SECONDS)
        except (StoreError, psycopg2.Error) as error:
            self._is_failing = True
            self._outage_log.failed(error)
            return
        active = tuple(stored.exclusion for stored in found if stored.is_active)
        self._last_read, self._active, self._is_failing = ExclusionList(tuple(found), now), active, False
        self._outage_log.worked()

    def start(self) -> None:
        """Reads them now, and again every POLL_SECONDS on a thread."""
        self.load()
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()

    def _poll(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            self.load()
