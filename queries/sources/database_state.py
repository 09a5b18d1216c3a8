"""What has happened to a database besides inserted events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from queries.db.arrow_pool import ArrowPool
from queries.errors import SchemaMissing, StoreError, StoreUnavailable
from queries.sources.activity.change_log import HAS_CHANGE_LOG, LOG_IS_WRITTEN, LOG_SUMMARY

# a server that takes over begins a new timeline, and may lack what the one before it had; a standby has no counters
# that could equal those of its primary
_TIMELINE = """CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END"""
# for servers that keep no such log
_ROLE = "CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END"
_ORIGIN = """
    concat({server}, '.', {timeline}, '.', (SELECT oid FROM pg_database WHERE datname = current_database()))"""
_PERMISSIONS = f"""
    SELECT getdatabaseencoding()::text AS encoding, current_database()::text AS name,
        has_function_privilege('pg_control_system()', 'execute') AS sees_system,
        has_function_privilege('pg_control_checkpoint()', 'execute') AS sees_checkpoint,
        to_regclass('pruned') IS NOT NULL AS has_pruned_table,
        EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('pruned') AND attname = 'max_id')
            AS has_pruned_id,
        {HAS_CHANGE_LOG} AS has_change_log"""  # noqa: S608
_STATE = """
    SELECT concat({server}, '.', (SELECT oid FROM pg_database WHERE datname = current_database())) AS database,
        {pruned} AS pruned, {pruned_id} AS pruned_id,
        concat({timeline}, '-', pg_relation_filenode('events'), '-', {changes}) AS changes"""
# counted up to ten seconds after the commit
_COUNTERS = """
    (SELECT string_agg(concat(pg_stat_get_tuples_updated(oid), '-', pg_stat_get_tuples_deleted(oid)), '-' ORDER BY oid)
    FROM pg_class WHERE oid IN ('events'::regclass, 'regions'::regclass, 'job_types'::regclass))"""
_LOG_MARK = "log "
_LOGGED = f"(CASE WHEN {LOG_IS_WRITTEN} THEN concat('{_LOG_MARK}', {LOG_SUMMARY}) ELSE {_COUNTERS} END)"
_SERVER = "(SELECT system_identifier FROM pg_control_system())"
# all that the primary had committed by its last checkpoint has been replayed before a standby takes its first query
_REPLAYED = """
    SELECT CASE WHEN pg_is_in_recovery()
        THEN coalesce(pg_last_xact_replay_timestamp(), {checkpoint}) END AS replayed_until"""
_CHECKPOINT = "(SELECT checkpoint_time FROM pg_control_checkpoint())"
_PRUNED, _PRUNED_ID = "(SELECT max(before) FROM pruned)", "(SELECT max(max_id) FROM pruned)"
FEATURE_NOT_SUPPORTED = "0A000"
"""PostgreSQL's code."""


@dataclass(frozen=True)
class DatabaseState:
    """The state of a database at some moment.

    ``database`` identifies the server and the database on it. ``changes``
    differs after stored events or regions were updated or deleted, and when
    another server takes over. It is a summary of the log of changes; without
    such a log, it has PostgreSQL's counters of updated and deleted rows,
    which differ some time later. On a standby it equals no primary's. Events before
    ``pruned`` may have been deleted because a lake has them; None where none
    have been. None of these has an id above ``pruned_id``, which is None where
    an older release pruned.
    """

    database: str
    changes: str
    pruned: datetime | None
    pruned_id: int | None = None

    @property
    def timeline(self) -> str:
        """What changes when another server takes over, or the database is created again."""
        return f"{self.database}-{self.changes.partition('-')[0]}"


def changes_by_log(changes: str, later: str) -> bool:
    """Whether the log of changes has all that happened between two values of DatabaseState.changes."""
    before, mark, _ = changes.partition(_LOG_MARK)
    return bool(mark) and later.startswith(before + mark)


class StateReader:
    """Reads the state of the database of an ArrowPool. Every read raises StoreUnavailable and StoreTimeout."""

    def __init__(self, pool: ArrowPool) -> None:
        self._pool = pool
        self._known_parts: dict[str, str] | None = None

    def read(self) -> DatabaseState:
        """The current state."""
        return DatabaseState(**self._read_row(_STATE))

    def read_pruned(self) -> datetime | None:
        """``pruned`` of the current state, which takes less time to read than all of it."""
        pruned: datetime | None = self._read_row("SELECT {pruned} AS pruned")["pruned"]
        return pruned

    def read_replayed_until(self) -> datetime | None:
        """On a standby, a moment: it has every event whose commit was confirmed by then. None on a primary."""
        moment: datetime | None = self._read_row(_REPLAYED)["replayed_until"]
        return moment

    def origin(self) -> str:
        """The SQL expression that names the server (if the role may see that), its timeline and the database."""
        return _ORIGIN.format(**self._statement_parts())

    def _read_row(self, statement: str) -> dict[str, Any]:
        try:
            (row,) = self._pool.read(statement.format(**self._statement_parts())).to_pylist()
        except Exception as error:
            if isinstance(error, SchemaMissing) or not isinstance(error, StoreError):
                # another database may be behind the URL by now, with other permissions
                self._known_parts = None
            raise
        found: dict[str, Any] = row
        return found

    def _timeline(self) -> str:
        try:
            self._pool.read(f"SELECT {_TIMELINE}")
        except StoreError:
            raise
        except Exception as error:
            # some hosted databases have a storage of their own in place of PostgreSQL's log
            if getattr(error, "sqlstate", None) != FEATURE_NOT_SUPPORTED:
                raise
            return _ROLE
        return _TIMELINE

    def _statement_parts(self) -> dict[str, str]:
        """The parts of the statement that depend on the role's permissions and on the schema."""
        if self._known_parts is not None:
            return self._known_parts
        (found,) = self._pool.read(_PERMISSIONS).to_pylist()
        if found["encoding"] != "UTF8":
            # text of SQL_ASCII may be no text at all, which Polars does not bear
            raise StoreUnavailable(f"the database {found['name']} has the encoding {found['encoding']}, and not UTF8")
        parts = {
            # without the permission, the databases of one server still differ
            "server": _SERVER if found["sees_system"] else "NULL",
            "timeline": self._timeline(),
            "checkpoint": _CHECKPOINT if found["sees_checkpoint"] else "to_timestamp(0)",
            "pruned": _PRUNED if found["has_pruned_table"] else "NULL::timestamptz",
            "pruned_id": _PRUNED_ID if found["has_pruned_id"] else "NULL::int8",
            "changes": _LOGGED if found["has_change_log"] else _COUNTERS,
        }
        # a migration may create the tables at any time
        has_tables = found["has_pruned_id"] and found["has_change_log"] is not None
        self._known_parts = parts if has_tables else None
        return parts
