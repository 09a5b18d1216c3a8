"""The lake: a Delta table of settled events, in a folder or an object store."""

from datetime import datetime

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from queries.concurrency.bounded_flight import BoundedFlight
from queries.errors import StoreUnavailable, first_line
from queries.scoring.exclusions import Exclusion
from queries.sources.lake_snapshot import LakeSnapshot, read_lake_snapshot
from queries.sources.object_stores import store_options

LAKE_PATIENCE_SECONDS = 1.0
"""How long a request waits for the lake where the database may have the events as well."""
LOG_TIMEOUT_SECONDS = 5.0
"""The limit for one request of the table's log, whose files are small. A silent store is noticed after this."""


class LakeEvents:
    """Events of the lake at ``url``: a folder, s3://bucket/folder, gs://… or az://….

    Credentials come from the variables that each store's own tools read.
    ``timeout`` is the limit in seconds for opening or updating the table.
    Threads may share a LakeEvents. Every read raises StoreUnavailable where
    the lake cannot be read and StoreTimeout where that takes too long.
    """

    def __init__(self, url: str, *, timeout: float = 20.0) -> None:
        self.url = url
        self.timeout = timeout
        self.options = store_options(url, timeout)
        self._log_options = store_options(url, min(timeout, LOG_TIMEOUT_SECONDS))
        self._update_once = BoundedFlight(f"the lake in {url}", self._update, min(timeout, LAKE_PATIENCE_SECONDS))
        self._table: DeltaTable | None = None
        self._snapshot: LakeSnapshot | None = None

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order."""
        return self.require_snapshot().window(since, until)

    def exclusions(self) -> list[Exclusion]:
        """Nothing: only a database knows what is left out of scores."""
        return []

    def results(self, orchestrator: str, since: datetime, until: datetime, job_type: str | None) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type; see LakeSnapshot.results."""
        return self.require_snapshot().results(orchestrator, since, until, job_type)

    def snapshot(self, *, waits: bool = True) -> LakeSnapshot | None:
        """The newest version of the table, or None where there is no lake yet.

        Without ``waits``, raises StoreTimeout after LAKE_PATIENCE_SECONDS, and
        at once while the store is known to hang.
        """
        return self._update_once(self.timeout if waits else None)

    def require_snapshot(self) -> LakeSnapshot:
        """The newest version of the table. Raises StoreUnavailable where there is no lake yet."""
        if (snapshot := self.snapshot()) is None:
            raise StoreUnavailable(f"there is no lake in {self.url}; leaderboard lake sync makes one")
        return snapshot

    def is_other_table(self) -> bool:
        """Whether the URL has a Delta table with rows that is not a lake."""
        return self.snapshot() is None and self._table is not None and self._table.get_add_actions().num_rows > 0

    def close(self) -> None:
        """Releases the table. The next read opens it again."""
        self._table = self._snapshot = None

    def _update(self) -> LakeSnapshot | None:
        try:
            table = self._table
            if table is None:
                table = DeltaTable(self.url, storage_options=self._log_options)
            else:
                table.update_incremental()
            snapshot = self._snapshot
            if snapshot is None or snapshot.version != table.version():
                snapshot = read_lake_snapshot(table, self.options)
        except TableNotFoundError:
            self.close()
            return None
        except StoreUnavailable:
            self.close()
            raise
        except Exception as error:
            # a store or a log may answer anything, and each kind of nonsense is another error of deltalake or Polars
            self.close()
            raise StoreUnavailable(f"the lake in {self.url} cannot be read: {first_line(error)}") from error
        self._table, self._snapshot = table, snapshot
        return snapshot
