"""The registered regions. A region is registered for one job type."""

import logging
import time
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.postgres.pool import Database
from leaderboard.regions.catalyst import TIMEOUT_SECONDS, CatalystError, read_regions
from queries import TRANSCODING
from queries.concurrency import CLIENT_MARGIN_SECONDS, SingleFlight
from queries.errors import StoreError, StoreUnavailable

log = logging.getLogger(__name__)


class Region(TypedDict):
    """A region as ``/api/regions`` has it: its code, its display name and its job type."""

    id: str
    name: str
    type: str


class RegionList(NamedTuple):
    """Regions in the order of registration.

    ``as_of`` is when they were read, where the database is unavailable since
    then, else None.
    """

    regions: list[Region]
    as_of: datetime | None = None


class RegionRegistry:
    """The regions of a database, and those that the document at ``catalyst_url`` adds to them.

    The list is kept in memory for ``cache_timeout`` seconds. One thread at a
    time reads it again, so the document is fetched at most once in that time.
    """

    def __init__(self, database: Database, cache_timeout: float, catalyst_url: str | None = None) -> None:
        self._database = database
        self._cache_timeout = cache_timeout
        self._catalyst_url = catalyst_url
        self._ids: dict[tuple[str, str], int] = {}
        self._cached: RegionList | None = None
        self._expires_at = 0.0
        self._last_read: RegionList | None = None
        max_wait = database.timeout + CLIENT_MARGIN_SECONDS + TIMEOUT_SECONDS
        self._refresh_once = SingleFlight(self._refresh_if_expired, max_wait)

    def all(self) -> RegionList:
        """Every region, as of at most ``cache_timeout`` seconds ago.

        While the database is unavailable, the regions as they were last read.
        Raises StoreUnavailable where they were never read, and StoreTimeout.
        """
        return self._unexpired() or self._refresh_once()

    def id_of(self, code: str, job_type: str) -> int | None:
        """The id of the region with this code, in any case, for this job type. None where it is not registered."""
        key = code.upper(), job_type
        if key not in self._ids:
            self._read_database()
        if key not in self._ids:
            # the document may have it by now
            self.all()
        return self._ids.get(key)

    def forget_ids(self) -> None:
        """Makes the next ``id_of`` read the ids again, because somebody may have deleted a region."""
        self._ids = {}

    def _unexpired(self) -> RegionList | None:
        return self._cached if time.monotonic() < self._expires_at else None

    def _refresh_if_expired(self) -> RegionList:
        if (cached := self._unexpired()) is not None:
            # another thread read them while this one waited
            return cached
        self._cached = current = self._read_or_last()
        self._expires_at = time.monotonic() + self._cache_timeout
        return current

    def _read_or_last(self) -> RegionList:
        now = datetime.now(UTC)
        try:
            current = RegionList(self._read_all())
        except StoreUnavailable as error:
            if self._last_read is None:
                raise
            log.warning("the regions are those that were last read: %s", error)
            return self._last_read
        self._last_read = current._replace(as_of=now)
        return current

    def _read_all(self) -> list[Region]:
        """The regions of the database, with new ones of the document added."""
        registered = self._read_database()
        if self._catalyst_url is None:
            return registered
        try:
            codes = {region["id"].upper() for region in registered if region["type"] == TRANSCODING}
            names = {code: name for code, name in read_regions(self._catalyst_url).items() if code not in codes}
            if names:
                self._database.run(lambda cursor: _insert(cursor, names))
                log.info("added the regions %s", ", ".join(sorted(names)))
                return self._read_database()
        except (CatalystError, StoreError, psycopg2.Error) as error:
            log.warning("no regions are added from CATALYST_REGION_URL: %s", error)
        return registered

    def _read_database(self) -> list[Region]:
        rows = self._database.run(_select)
        self._ids = {(region["id"].upper(), region["type"]): region_id for region_id, region in rows}
        return [region for _, region in rows]


def _select(cursor: Cursor) -> list[tuple[int, Region]]:
    cursor.execute(
        "SELECT regions.id, regions.name, display_name, job_types.name "
        "FROM regions JOIN job_types ON job_types.id = job_type_id ORDER BY regions.id"
    )
    return [
        (region_id, Region(id=code, name=display_name, type=job_type))
        for region_id, code, display_name, job_type in cursor.fetchall()
    ]


def _insert(cursor: Cursor, names: dict[str, str]) -> None:
    cursor.executemany(
        "INSERT INTO regions (name, display_name, job_type_id) "
        "SELECT %s, %s, id FROM job_types WHERE name = %s ON CONFLICT DO NOTHING",
        [(code, name, TRANSCODING) for code, name in names.items()],
    )
