"""Posts that are refused because of their region: the sentence for the tester, and the count for the operator."""

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock, Timer

import psycopg2

from leaderboard.postgres.pool import Database
from leaderboard.regions.codes import CODE_RULE, is_code
from leaderboard.regions.refused_table import (
    MAX_REFUSED_REGIONS,
    Refusals,
    RefusedRegion,
    add_refused,
    select_refused,
)
from leaderboard.regions.region_table import RegionKey
from queries.concurrency import OutageLog
from queries.errors import ReadOnlyDatabase, StoreError, quote

log = logging.getLogger(__name__)

STORE_PAUSE_SECONDS = 1.0
"""How long refused posts are gathered, so that a flood of them costs one transaction a second."""
RETRY_PAUSE_SECONDS = 5.0
"""The pause after counts could not be stored."""
STORE_SECONDS = 2.0
"""The limit for storing the counts."""
MAX_LISTED_CODES = 30
"""In a sentence, which has about 500 characters."""


def explain_refusal(code: str, job_type: str, registered: Collection[str], *, is_retired: bool) -> str:
    """Why a post of this region is refused, how an operator changes that, and which regions are registered."""
    command = f"leaderboard regions add {code.upper()} NAME --job-type {job_type}"
    if is_retired:
        reason = f"region {quote(code)} is retired and takes no more {job_type} results; {command} takes it back"
    elif is_code(code):
        reason = (
            f"region {quote(code)} is not registered for {job_type} results; {command} registers it, "
            "and so does AUTO_REGISTER_REGIONS=true"
        )
    else:
        reason = f"region {quote(code)} is not registered for {job_type} results; {CODE_RULE}"
    return f"{reason}; registered are {_list(sorted(registered))}"


class RefusedRegions:
    """Counts in the database the posts that are refused because of their region, for all workers together.

    They are stored about a second later, so a worker that is killed loses the
    counts of its last second. Threads may share a RefusedRegions.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._store_lock = Lock()
        self._pending: dict[RegionKey, Refusals] = {}
        self._timer: Timer | None = None
        self._is_closed = False
        self._outage_log = OutageLog("the count of refused regions", log)

    def add(self, code: str, job_type: str) -> None:
        """Counts a refused post. Codes that no region can have are in the log alone."""
        now = datetime.now(UTC)
        if is_code(code):
            self._add({(code.upper(), job_type): Refusals(1, now, now)}, STORE_PAUSE_SECONDS)

    def read(self, timeout: float) -> list[RefusedRegion]:
        """The counts of all workers. ``timeout`` is in seconds. Raises StoreError and psycopg2.Error."""
        return self._database.run(select_refused, timeout)

    def close(self) -> None:
        """Stores what was counted, if the database is available."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()
        self._store()

    def _add(self, refusals: dict[RegionKey, Refusals], pause: float) -> None:
        """Adds counts to those that are stored after the pause, unless a time is set already."""
        with self._lock:
            for key, refused in refusals.items():
                if key in self._pending:
                    self._pending[key] = self._pending[key].plus(refused)
                elif len(self._pending) < MAX_REFUSED_REGIONS:
                    self._pending[key] = refused
            if self._timer is None and self._pending and not self._is_closed:
                self._timer = Timer(pause, self._store)
                self._timer.daemon = True
                self._timer.start()

    def _store(self) -> None:
        # close must not return while counts are on their way
        with self._store_lock:
            with self._lock:
                refusals, self._pending = self._pending, {}
                self._timer = None
            if refusals:
                self._write(refusals)

    def _write(self, refusals: dict[RegionKey, Refusals]) -> None:
        try:
            # a standby stores nothing, and its log has the refusals
            with suppress(ReadOnlyDatabase):
                self._database.run(lambda cursor: add_refused(cursor, refusals), STORE_SECONDS)
        except (StoreError, psycopg2.Error) as error:
            self._outage_log.failed(error)
            self._add(refusals, RETRY_PAUSE_SECONDS)
        else:
            self._outage_log.worked()


def _list(codes: list[str]) -> str:
    if not codes:
        return "none"
    more = len(codes) - MAX_LISTED_CODES
    return ", ".join(codes[:MAX_LISTED_CODES]) + (f" and {more} more" if more > 0 else "")
