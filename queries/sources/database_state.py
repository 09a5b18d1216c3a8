"""What has been done to a database beside inserting events."""

from dataclasses import dataclass
from datetime import datetime

from queries.db.arrow_pool import ArrowPool

_CAN = """
    SELECT has_function_privilege('pg_control_system()', 'execute') AS see_system,
        to_regclass('pruned') IS NOT NULL AS be_pruned"""
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
    """What has been done to a database by some moment.

    ``database`` names the server and the database on it, ``changes`` is
    another text some time after stored events or regions were changed or
    deleted. Events before ``pruned`` may have been deleted because a lake has
    them; None where none have.
    """

    database: str
    changes: str
    pruned: datetime | None


class StateReader:
    """Reads the state of the database that ``reader`` reads. Every read raises as that does."""

    def __init__(self, reader: ArrowPool) -> None:
        self._reader = reader
        self._known: dict[str, str] | None = None

    def now(self) -> DatabaseState:
        """The state by now."""
        (row,) = self._reader.read(_STATE.format(**self._parts())).to_pylist()
        return DatabaseState(**row)

    def pruned(self) -> datetime | None:
        """That of the state alone, which is sooner told."""
        return self._reader.read(f"SELECT {self._parts()['pruned']} AS pruned")["pruned"].to_pylist()[0]

    def _parts(self) -> dict[str, str]:
        """What can be asked of this database, by this role."""
        if self._known is not None:
            return self._known
        (can,) = self._reader.read(_CAN).to_pylist()
        parts = {
            # a role that may not see it still tells the databases of one server apart
            "system": _SYSTEM if can["see_system"] else "NULL",
            "pruned": _PRUNED if can["be_pruned"] else "NULL::timestamptz",
        }
        # a table that is not there yet may be made any time
        self._known = parts if can["be_pruned"] else None
        return parts
