"""Reads the status of a service. It takes no longer than a check of health, whatever is silent."""

import logging
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import queries
from leaderboard.health import TOTAL_SECONDS, HealthReport
from leaderboard.postgres.errors import MigrationError
from leaderboard.status.processes import WorkerProcess, worker_processes
from leaderboard.status.setting_values import SettingValue, setting_values
from queries import AI, FORMULA_1, TRANSCODING, EventFilter, EventWindow, MemoryUsage
from queries.concurrency import BoundedFlight, run_in_thread
from queries.errors import StoreError
from queries.times import last_hours

if TYPE_CHECKING:
    from leaderboard.services import Service

log = logging.getLogger(__name__)

REGISTERED, RETIRED, NOT_REGISTERED = "registered", "retired", "not registered"


class RegionStatus(NamedTuple):
    """A region with its results of one job type in the last START_TIME_WINDOW hours.

    ``newest`` is None where there are none. ``state`` is REGISTERED, RETIRED
    or NOT_REGISTERED.
    """

    region: str
    job_type: str
    state: str
    events: int
    newest: datetime | None


@dataclass(frozen=True)
class ServiceStatus:
    """What a service is, at one moment. ``regions`` is None where they could not be read in time."""

    health: HealthReport
    regions: list[RegionStatus] | None
    memory: MemoryUsage | None
    workers: list[WorkerProcess]
    versions: dict[str, str]
    settings: list[SettingValue]


class StatusReader:
    """Reads the status of a service. Threads may share it."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._read_regions = BoundedFlight("the database", self._regions, TOTAL_SECONDS)

    def read(self) -> ServiceStatus:
        """The status now. Takes about TOTAL_SECONDS at most."""
        flight = run_in_thread(self._read_regions)
        health = self._service.health.report()
        regions: list[RegionStatus] | None = None
        try:
            regions = flight.result()
        except (StoreError, MigrationError) as error:
            log.debug("the status has no regions: %s", error)
        return ServiceStatus(
            health=health,
            regions=regions,
            memory=self._service.events.memory,
            workers=worker_processes(),
            versions=_versions(health),
            settings=setting_values(self._service.settings),
        )

    def _regions(self) -> list[RegionStatus]:
        """Each region and job type that takes results or has some, sorted."""
        window = self._service.events.window(*last_hours(self._service.settings.start_time_window))
        states = {
            (region["id"].upper(), region["type"]): RETIRED if "retired_at" in region else REGISTERED
            for region in self._service.region_list().regions
        }
        found = _newest_results(window, TRANSCODING) | _newest_results(window, AI)
        active = {key for key, state in states.items() if state == REGISTERED}
        return [
            RegionStatus(*key, states.get(key, NOT_REGISTERED), *found.get(key, (0, None)))
            for key in sorted(active | found.keys())
        ]


def _newest_results(window: EventWindow, job_type: str) -> dict[tuple[str, str], tuple[int, datetime]]:
    """How many results each region has, and when it had the newest one, by its code and the job type."""
    # formula 1 counts every result
    stats = window.collect(
        lambda events: queries.network_stats(
            events, EventFilter(job_type=job_type), group_columns=("region",), formula=FORMULA_1
        )
    )
    rows = stats.select("region", "events", "last_seen").iter_rows()
    return {(region.upper(), job_type): (events, newest) for region, events, newest in rows}


def _versions(health: HealthReport) -> dict[str, str]:
    database = health.document.get("database", {})
    schema = f"{database['version']}, this release's is {database['expected_version']}" if database else "unknown"
    return {
        "This release": version("orchestrator-leaderboard"),
        "Python": platform.python_version(),
        "Polars": version("polars"),
        "DuckDB": version("duckdb"),
        "PostgreSQL": health.facts.server_version if health.facts else "unknown while it is not available",
        "Schema": schema,
    }
