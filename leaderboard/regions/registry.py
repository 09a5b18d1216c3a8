"""The registered regions, held in memory. A region is registered for one job type."""

import logging
import time
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.postgres.pool import Database
from leaderboard.regions.catalyst import TIMEOUT_SECONDS
from leaderboard.regions.codes import is_code
from leaderboard.regions.document import RegionDocument
from leaderboard.regions.refusals import explain_refusal
from leaderboard.regions.region_table import Region, RegionKey, insert_regions, select_regions
from queries.concurrency import CLIENT_MARGIN_SECONDS, CircuitBreaker, SingleFlight
from queries.errors import OutcomeUnknown, StoreError, StoreUnavailable

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


class _Snapshot(NamedTuple):
    """The regions at a moment, by their code in upper case and their job type.

    ``names`` are those that take results, spelled as in the database.
    ``began`` is the moment of time.monotonic() before they were read.
    """

    began: float
    listed: RegionList
    names: dict[RegionKey, str]
    retired: frozenset[RegionKey]


class RegionRegistry:
    """The regions of a database, and those that are added to them: by the document at ``catalyst_url``, and by results.

    With ``auto_register``, the region of a result is registered when it is
    first looked for, under its code.

    The list is kept in memory for ``cache_timeout`` seconds, and for as long
    as the database is unavailable. One thread at a time reads it again.
    """

    def __init__(
        self, database: Database, cache_timeout: float, catalyst_url: str | None = None, *, auto_register: bool = False
    ) -> None:
        self._database = database
        self._cache_timeout = cache_timeout
        self._auto_register = auto_register
        self._document = None
        if catalyst_url is not None:
            self._document = RegionDocument(catalyst_url, cache_timeout, self._add)
        self._call_database = CircuitBreaker("the table of regions", log)
        self._lock = Lock()
        self._snapshot: _Snapshot | None = None
        self._expires_at = 0.0
        self._full_rereads_at = 0.0
        self._refresh_once = SingleFlight(self._refresh_if_expired, database.timeout + CLIENT_MARGIN_SECONDS)
        self._reread_once = SingleFlight(self._reread_if_due, database.timeout + CLIENT_MARGIN_SECONDS)

    @property
    def is_known(self) -> bool:
        """Whether the regions were read, so that ``all`` never raises."""
        return self._snapshot is not None

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
            if self._snapshot is None:
                raise
            return self._snapshot.listed

    def find(self, code: str, job_type: str, timeout: float) -> str | None:
        """The name, as the database has it, of the region with this code in any case, for this job type.

        None where it is not registered, or retired. Known regions come from
        memory. For another one, the table is read again unless that was done
        too often within the last seconds, and then the document. ``timeout``
        is the limit in seconds. Raises StoreUnavailable and StoreTimeout.
        """
        key, deadline = (code.upper(), job_type), time.monotonic() + timeout
        if key not in self._names:
            self._reread_once()
        if self._is_unknown(key) and self._document is not None:
            self._document.refresh(max(0, min(TIMEOUT_SECONDS, (deadline - time.monotonic()) / 2)))
        if self._is_unknown(key) and self._auto_register and is_code(code):
            return self._register(key, max(0.001, deadline - time.monotonic()))
        return self._names.get(key)

    def explain_refusal(self, code: str, job_type: str) -> str:
        """Why ``find`` returned None, how an operator changes that, and which regions are registered."""
        registered = [name for (_, of_type), name in self._names.items() if of_type == job_type]
        is_retired = (code.upper(), job_type) in self._retired
        return explain_refusal(code, job_type, registered, is_retired=is_retired)

    def reload(self) -> None:
        """Reads the table again, because somebody changed a region. Raises StoreUnavailable and StoreTimeout."""
        self._full_rereads_at = 0.0
        self._reread_once()

    @property
    def _names(self) -> dict[RegionKey, str]:
        return self._snapshot.names if self._snapshot is not None else {}

    @property
    def _retired(self) -> frozenset[RegionKey]:
        return self._snapshot.retired if self._snapshot is not None else frozenset()

    def _is_unknown(self, key: RegionKey) -> bool:
        return key not in self._names and key not in self._retired

    def _unexpired(self) -> RegionList | None:
        if self._snapshot is None or time.monotonic() >= self._expires_at:
            return None
        return self._snapshot.listed._replace(as_of=None)

    def _refresh_if_expired(self) -> RegionList:
        if (current := self._unexpired()) is not None:
            # another thread read them while this one waited
            return current
        current = self._call_database(self._read_database, self._read_limit)
        self._expires_at = time.monotonic() + self._cache_timeout
        if self._document is not None:
            self._document.refresh(DOCUMENT_WAIT_SECONDS)
            current = self._snapshot.listed if self._snapshot is not None else current
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
        return FIRST_READ_SECONDS if self._snapshot is None else READ_SECONDS

    def _add(self, found: dict[RegionKey, str]) -> None:
        """Registers the new ones of these regions, given as display names by code and job type."""
        if names := {key: name for key, name in found.items() if self._is_unknown(key)}:
            self._insert(names, self._database.timeout, "the region document")

    def _register(self, key: RegionKey, timeout: float) -> str | None:
        """The name of a region that is registered now, unless another process has retired it. Raises StoreError."""
        try:
            return self._insert({key: key[0]}, timeout, "a result").names.get(key)
        except OutcomeUnknown as error:
            # of the region: the result itself is certainly not stored
            raise StoreUnavailable(str(error)) from error

    def _insert(self, names: dict[RegionKey, str], timeout: float, source: str) -> _Snapshot:
        """Registers those that are not registered by now, and returns all regions. ``source`` is for the log."""

        def work(cursor: Cursor) -> tuple[list[RegionKey], _Snapshot]:
            return insert_regions(cursor, names), _read_snapshot(cursor)

        added, snapshot = self._database.run(work, timeout)
        for code, job_type in added:
            log.info("%s adds the region %s for %s results", source, code, job_type)
        self._keep(snapshot)
        return snapshot

    def _read_database(self, timeout: float) -> RegionList:
        snapshot = self._database.run(_read_snapshot, timeout)
        self._keep(snapshot)
        return snapshot.listed

    def _keep(self, snapshot: _Snapshot) -> None:
        with self._lock:
            # another thread may have read them later
            if self._snapshot is None or snapshot.began >= self._snapshot.began:
                self._snapshot = snapshot


def _read_snapshot(cursor: Cursor) -> _Snapshot:
    began, as_of = time.monotonic(), datetime.now(UTC)
    regions = select_regions(cursor)
    keys = [(region["id"].upper(), region["type"]) for region in regions]
    names = {key: region["id"] for key, region in zip(keys, regions, strict=True) if "retired_at" not in region}
    return _Snapshot(began, RegionList(regions, as_of), names, frozenset(keys) - names.keys())
