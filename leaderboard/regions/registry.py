"""The regions: where jobs are tested from, per job type."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from leaderboard.postgres.pool import Database
from leaderboard.regions.catalyst import CatalystError, read_regions
from leaderboard.web.cache import get_readthrough
from queries import TRANSCODING, StoreTimeout, StoreUnavailable

log = logging.getLogger(__name__)


class Region(TypedDict):
    """A region as it is answered: its code, its display name, its job type."""

    id: str
    name: str
    type: str


class Known(NamedTuple):
    """The regions in the order of registration; ``as_of`` is None but where the database is away since then."""

    regions: list[Region]
    as_of: datetime | None = None


@dataclass
class Regions:
    """The registered regions of a database, and those that a catalyst document adds to them."""

    database: Database
    cache_timeout: float
    catalyst_url: str | None = None

    def __post_init__(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._last: Known | None = None

    def all(self) -> Known:
        """Every region, kept for ``cache_timeout`` seconds; first asks the catalyst."""
        return get_readthrough("regions", self.cache_timeout, self._refreshed)

    def id_of(self, code: str, job_type: str) -> int | None:
        """The id of the region with this code, in any case, for this job type; None where it is not registered."""
        key = code.upper(), job_type
        if key not in self._ids:
            self._read()
        if key not in self._ids:
            # the catalyst may know it by now
            self.all()
        return self._ids.get(key)

    def forget(self) -> None:
        """Has the ids read again before the next is told, as somebody may have deleted one."""
        self._ids = {}

    def _refreshed(self) -> Known:
        now = datetime.now(UTC)
        try:
            known = Known(self._refresh())
        except StoreUnavailable as error:
            if self._last is None:
                raise
            log.warning("answering with the regions that were known: %s", error)
            return self._last
        self._last = known._replace(as_of=now)
        return known

    def _refresh(self) -> list[Region]:
        known = self._read()
        if self.catalyst_url is None:
            return known
        try:
            found = read_regions(self.catalyst_url)
            codes = {region["id"].upper() for region in known if region["type"] == TRANSCODING}
            if new := {code: name for code, name in found.items() if code not in codes}:
                self.database.run(lambda connection: _insert(connection, new))
                log.info("added the regions %s", ", ".join(sorted(new)))
                return self._read()
        except (CatalystError, StoreUnavailable, StoreTimeout, SQLAlchemyError) as error:
            log.warning("CATALYST_REGION_URL adds no regions now: %s", error)
        return known

    def _read(self) -> list[Region]:
        rows = self.database.run(_select)
        self._ids = {(region["id"].upper(), region["type"]): id_ for id_, region in rows}
        return [region for _, region in rows]


def _select(connection: Connection) -> list[tuple[int, Region]]:
    rows = connection.execute(
        text(
            "SELECT regions.id, regions.name AS code, display_name, job_types.name AS job_type "
            "FROM regions JOIN job_types ON job_types.id = job_type_id ORDER BY regions.id"
        )
    )
    return [(row.id, Region(id=row.code, name=row.display_name, type=row.job_type)) for row in rows]


def _insert(connection: Connection, names: dict[str, str]) -> None:
    connection.execute(
        text(
            "INSERT INTO regions (name, display_name, job_type_id) "
            "SELECT :code, :name, id FROM job_types WHERE name = :job_type ON CONFLICT DO NOTHING"
        ),
        [{"code": code, "name": name, "job_type": TRANSCODING} for code, name in names.items()],
    )
