"""What has happened to a database besides inserted events."""

from dataclasses import dataclass
from datetime import datetime

from queries.db.arrow_pool import ArrowPool

_PERMISSIONS = """
    SELECT has_function_privilege('pg_control_system()', 'execute') AS sees_system,
        to_regclass('pruned') IS NOT NULL AS has_pruned_table"""
_STATE = """
    SELECT concat({system}, '.', (SELECT oid FROM pg_database WHERE datname = current_database())) AS database,
        {pruned} AS pruned,
        (SELECT concat(pg_relation_filenode('events'), '-', string_agg(
            concat(pg_stat_get_tuples_updated(oid), '-', pg_stat_get_tuples_deleted(oid)), '-' ORDER BY oid))
        FROM pg_class WHERE oid IN ('events'::regclass, 'regions'::regclass, 'job_types'::regclass)) AS changes"""
_SYSTEM = "(SELECT system_identifier FROM pg_control_system())"
_PRUNED = "(SELECT max(before) FROM pruned)"


@dataclass(frozen=True)
class DatabaseState:
    """The state of a database at some moment.

    ``database`` identifies the server and the database on it. ``changes``
    has PostgreSQL's counters of updated and deleted rows; it differs some
    time after stored events or regions were updated or deleted. Events before
    ``pruned`` may have been deleted because a lake has them; None where none
    have been.
    """

    database: str
    changes: str
    pruned: datetime | None


class StateReader:
    """Reads the state of the database of an ArrowPool. Every read raises StoreUnavailable and StoreTimeout."""

    def __init__(self, pool: ArrowPool) -> None:
        self._pool = pool
        self._known_parts: dict[str, str] | None = None

    def read(self) -> DatabaseState:
        """The current state."""
        (row,) = self._pool.read(_STATE.format(**self._statement_parts())).to_pylist()
        return DatabaseState(**row)

    def read_pruned(self) -> datetime | None:
        """``pruned`` of the current state, which takes less time to read than all of it."""
        table = self._pool.read(f"SELECT {self._statement_parts()['pruned']} AS pruned")
        pruned: datetime | None = table["pruned"].to_pylist()[0]
        return pruned

    def _statement_parts(self) -> dict[str, str]:
        """The parts of the statement that depend on the role's permissions and on the schema."""
        if self._known_parts is not None:
            return self._known_parts
        (found,) = self._pool.read(_PERMISSIONS).to_pylist()
        parts = {
            # without the permission, the databases of one server still differ
            "system": _SYSTEM if found["sees_system"] else "NULL",
            "pruned": _PRUNED if found["has_pruned_table"] else "NULL::timestamptz",
        }
        # a migration may create the table at any time
        self._known_parts = parts if found["has_pruned_table"] else None
        return parts
