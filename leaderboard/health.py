"""Whether a process of the service works: what it can answer, whether posts are stored, and what is wrong."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaderboard.postgres.disk_space import is_disk_full
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.migration_files import load
from queries import EventWindow, LakeSnapshot
from queries.concurrency import BoundedFlight, run_in_thread
from queries.errors import StoreError
from queries.times import last_hours

if TYPE_CHECKING:
    from concurrent.futures import Future

    from leaderboard.postgres.database_facts import DatabaseFacts
    from leaderboard.services import Service

CHECK_SECONDS = 1.0
"""The limit for reading what the database is."""
TOTAL_SECONDS = 1.5
"""The limit for all checks together. They run at the same time, and a check that hangs runs only once."""
UNAVAILABLE = "the database is not available"
FOREIGN = "the database does not have the tables of the leaderboard"
STANDBY = "the database is a standby, which takes no results"
READ_ONLY = "the database is read-only"
DISK_FULL = "the disk of DATA_DIR is full"
WRITE_FAILED = "the last result could not be stored; see the log"
LAKE_UNAVAILABLE = "the lake is not available"
MIGRATING = "a migration is running, or was interrupted"
NEWER_SCHEMA = "a newer release made the schema"
OTHER_SCHEMA = "the schema is not this release's"
REMEDIES = {
    UNAVAILABLE: "Check that PostgreSQL runs and accepts connections from here, and look at this service's log. "
    "Results up to the moment that the pages name are still answered; the service recovers by itself.",
    FOREIGN: "POSTGRES names another program's database, or one that was emptied. Name the right one and start the "
    "service again. An empty one gets its tables within seconds.",
    STANDBY: "Nothing, if this service is only to answer questions. To take results, point POSTGRES at the primary.",
    READ_ONLY: "Find out why PostgreSQL refuses writes: default_transaction_read_only, or a failover that goes on.",
    DISK_FULL: "Free space where DATA_DIR is. The service stores results again by itself when there is room.",
    WRITE_FAILED: "The service's log has the reason. This goes away with the next result that is stored.",
    LAKE_UNAVAILABLE: "Check LAKE_URL, the store behind it and its credentials. Until then, requests about results "
    "that were pruned from the database are refused.",
    MIGRATING: "Wait for it. If it does not end, run: leaderboard migrate status",
    NEWER_SCHEMA: "Nothing during a rolling upgrade. Else upgrade this service.",
    OTHER_SCHEMA: "Run: leaderboard migrate up",
}
"""What an operator can do about each fault and warning of a report."""

OK, DEGRADED, DOWN = "ok", "degraded", "down"

log = logging.getLogger(__name__)

_EXPECTED_ERRORS = (StoreError, MigrationError)


@dataclass(frozen=True)
class HealthReport:
    """``status`` is OK, DEGRADED (questions are still answered) or DOWN. ``document`` is what the endpoint answers.

    ``facts`` and ``lake`` are what was read of the database and the lake, None where that failed or there is none.
    """

    status: str
    document: dict[str, Any]
    facts: "DatabaseFacts | None" = None
    lake: LakeSnapshot | None = None


class HealthCheck:
    """Checks the stores of a service. Threads may share it."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._read_facts = BoundedFlight("the database", lambda: service.readiness.check(CHECK_SECONDS), TOTAL_SECONDS)
        self._read_events = BoundedFlight("the database", self._window, TOTAL_SECONDS)
        self._read_lake = BoundedFlight("the lake", service.lake, TOTAL_SECONDS)
        self._read_refused = BoundedFlight(
            "the database", lambda: service.refused_regions.read(CHECK_SECONDS), TOTAL_SECONDS
        )
        self._expected_version = load()[-1].version

    def report(self) -> HealthReport:
        """What works now. Takes TOTAL_SECONDS at most, whatever is silent."""
        flights: tuple[BoundedFlight[Any], ...] = (
            self._read_facts,
            self._read_events,
            self._read_lake,
            self._read_refused,
        )
        facts, window, lake, refused = map(_result, [run_in_thread(flight) for flight in flights])
        has_facts = not isinstance(facts, Exception)
        is_current = isinstance(window, EventWindow) and (window.as_of is None or (has_facts and facts.is_standby))
        # where all connections of the pool are in use, no facts can be read, but those of the last check hold
        known = facts if has_facts else self._service.readiness.facts if is_current else None
        is_foreign = has_facts and not facts.is_ours
        available = not is_foreign and (is_current or has_facts)
        document: dict[str, Any] = {
            "postgres": {"ok": True} if available else {"ok": False, "error": FOREIGN if is_foreign else UNAVAILABLE},
            "posts": self._posts(known, available),
        }
        if refused and not isinstance(refused, Exception):
            # no fault of the service, so it does not change the status
            document["posts"]["refused_regions"] = refused
        if known is not None:
            document["database"] = self._describe(known)
        if isinstance(lake, Exception):
            document["lake"] = {"ok": False, "error": LAKE_UNAVAILABLE}
        elif lake is not None:
            document["lake"] = {"ok": True}
            if lake.synced_percent is not None:
                document["lake"]["synced_percent"] = lake.synced_percent
        if (obstacle := self._service.lake_obstacle) is not None:
            # no fault: everything works without a lake, or with one that others keep
            document.setdefault("lake", {"ok": True})["note"] = obstacle
        if isinstance(window, Exception):
            status = DOWN
        else:
            is_whole = is_current and all(part.get("ok", True) for part in document.values())
            status = OK if is_whole else DEGRADED
        snapshot = None if isinstance(lake, Exception) else lake
        return HealthReport(status, {"status": status} | document, known, snapshot)

    def _window(self) -> EventWindow:
        return self._service.events.window(*last_hours(self._service.settings.start_time_window))

    def _posts(self, facts: "DatabaseFacts | None", available: bool) -> dict[str, Any]:
        if not available:
            return {"ok": False, "error": UNAVAILABLE}
        if facts is not None and facts.is_standby:
            return {"ok": False, "error": STANDBY}
        if facts is not None and facts.is_read_only:
            return {"ok": False, "error": READ_ONLY}
        settings = self._service.settings
        if settings.postgres is None and is_disk_full(settings.data_dir):
            return {"ok": False, "error": DISK_FULL}
        if self._service.last_write_failed():
            return {"ok": False, "error": WRITE_FAILED}
        return {"ok": True}

    def _describe(self, facts: "DatabaseFacts") -> dict[str, Any]:
        version = facts.record.version or 0
        found: dict[str, Any] = {
            "role": "standby" if facts.is_standby else "primary",
            "encoding": facts.encoding,
            "version": version,
            "expected_version": self._expected_version,
        }
        if facts.replayed_until is not None:
            found["replayed_until"] = facts.replayed_until.isoformat()
        if facts.record.dirty:
            found["warning"] = MIGRATING
        elif version > self._expected_version:
            found["warning"] = NEWER_SCHEMA
        elif version < self._expected_version or facts.missing:
            found["warning"] = OTHER_SCHEMA
        return found


def _result(read: "Future[Any]") -> Any:
    """What a check found, or the error that it met."""
    try:
        return read.result()
    except _EXPECTED_ERRORS as error:
        return error
    except Exception as error:
        log.exception("a check of health failed")
        return error
