"""The registered regions, held in memory. A region is registered for one job type."""

import logging
import time
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg2

from leaderboard.postgres.pool import Database
from leaderboard.regions.catalyst import TIMEOUT_SECONDS
from leaderboard.regions.document import RegionDocument
from leaderboard.regions.region_table import Region, insert_regions, select_regions
from queries import TRANSCODING
from queries.concurrency import CLIENT_MARGIN_SECONDS, CircuitBreaker, SingleFlight
from queries.errors import StoreError

log = logging.getLogger(__name__)

READ_SECONDS = 1.0
FIRST_READ_SECONDS = 5.0
"""How long a request waits for the table of regions, with an older list in memory and without."""
MAX_REREADS, REREAD_PAUSE_SECONDS = 5, 1.0
"""Posts of unknown regions have the table read again so many times, and then once in this time."""
DOCUMENT_WAIT_SECONDS = 1.0
"""How long a request for the list waits for the region document, unless that failed the last time."""


class RegionList(NamedTuple):
    """Regions in the order of registration.

    ``as_of`` is when they were read, where the database is unavailable since
    then, else None.
    """

    regions: list[Region]
    as_of: datetime | None = None


class RegionRegistry:
    """The regions of a database, and those that the document at ``catalyst_url`` adds to them.

    The list is kept in memory for ``cache_timeout`` seconds, and for as long
    as the database is unavailable. One thread at a time reads it again.
    """

    def __init__(self, database: Database, cache_timeout: float, catalyst_url: str | None = None) -> None:
        self._database = database
        self._cache_timeout = cache_timeout
        self._document = None
        if catalyst_url is not None:
            self._document = RegionDocument(catalyst_url, cache_timeout, self._add)
        self._call_database = CircuitBreaker("the table of regions", log)
        self._names: dict[tuple[str, str], str] = {}
        self._last_read: RegionList | None = None
        self._expires_at = 0.0
        self._full_rereads_at = 0.0
        self._refresh_once = SingleFlight(self._refresh_if_expired, database.timeout + CLIENT_MARGIN_SECONDS)
        self._reread_once = SingleFlight(self._reread_if_due, database.timeout + CLIENT_MARGIN_SECONDS)

    @property
    def is_known(self) -> bool:
        """Whether the regions were read, so that ``all`` never raises."""
        return self._last_read is not None

    def load(self) -> None:
        """Reads the regions, so that they are known when an outage begins. Logs where that fails."""
        try:
            self._read_database(READ_SECONDS)
        except (StoreError, psycopg2.Error) as error:
            log.warning("the regions are read later: %s", error)

    def all(self) -> RegionList:
        """Every region, as of at most ``cache_timeout`` seconds ago.

        While the database is unavailable, the regions as they were last read.
        Raises StoreUnavailable and StoreTimeout where they were never read.
        """
        current = self._unexpired()
        try:
            return current or self._refresh_once()
        except StoreError:
            if self._last_read is None:
                raise
            return self._last_read

    def find(self, code: str, job_type: str, timeout: float) -> str | None:
        """The name, as the database has it, of the region with this code in any case, for this job type.

        None where it is not registered. Known regions come from memory. For
        another one, the table is read again unless that was done too often
        within the last seconds, and then the document. ``timeout`` is the
        limit in seconds. Raises StoreUnavailable and StoreTimeout.
        """
        key, deadline = (code.upper(), job_type), time.monotonic() + timeout
        if key not in self._names:
            self._reread_once()
        if key not in self._names and self._document is not None and job_type == TRANSCODING:
            self._document.refresh(max(0, min(TIMEOUT_SECONDS, (deadline - time.monotonic()) / 2)))
        return self._names.get(key)

    def reload(self) -> None:
        """Reads the table again, because somebody changed a region. Raises StoreUnavailable and StoreTimeout."""
        self._full_rereads_at = 0.0
        self._reread_once()

    def _unexpired(self) -> RegionList | None:
        if self._last_read is None or time.monotonic() >= self._expires_at:
            return None
        return self._last_read._replace(as_of=None)

    def _refresh_if_expired(self) -> RegionList:
        if (current := self._unexpired()) is not None:
            # another thread read them while this one waited
            return current
        current = self._call_database(self._read_database, self._read_limit)
        self._expires_at = time.monotonic() + self._cache_timeout
        if self._document is not None:
            self._document.refresh(DOCUMENT_WAIT_SECONDS)
            current = self._last_read or current
        return current._replace(as_of=None)

    def _reread_if_due(self) -> None:
        now = time.monotonic()
        # each reading moves the moment at which all MAX_REREADS are allowed again
        full_at = max(self._full_rereads_at, now) + REREAD_PAUSE_SECONDS
        if full_at - now <= MAX_REREADS * REREAD_PAUSE_SECONDS:
            self._call_database(self._read_database, self._read_limit)
            # not after a failure: nobody knows then whether a region is registered
            self._full_rereads_at = full_at

    @property
    def _read_limit(self) -> float:
        return FIRST_READ_SECONDS if self._last_read is None else READ_SECONDS

    def _add(self, found: dict[str, str]) -> None:
        """Registers the new ones of these regions, given as display names by code."""
        codes = {code for code, job_type in self._names if job_type == TRANSCODING}
        if names := {code: name for code, name in found.items() if code not in codes}:
            self._database.run(lambda cursor: insert_regions(cursor, names))
            log.info("added the regions %s", ", ".join(sorted(names)))
            self._read_database(self._database.timeout)

    def _read_database(self, timeout: float) -> RegionList:
        now = datetime.now(UTC)
        regions = self._database.run(select_regions, timeout)
        self._names = {(region["id"].upper(), region["type"]): region["id"] for region in regions}
        self._last_read = RegionList(regions, as_of=now)
        return self._last_read
