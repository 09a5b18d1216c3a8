"""What a database is: whether it can hold our data, whether its tables are ours, and whether it takes writes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.golang_migrate import Record

ENCODING = "UTF8"
RECORD_COLUMNS = frozenset({"version bigint", "dirty boolean"})
"""The columns of golang-migrate's table schema_migrations. Other programs keep other things under that name."""
_NEEDED_COLUMNS = {
    "job_types": ("id", "name"),
    "regions": ("id", "name", "display_name", "job_type_id"),
    "events": ("id", "event_time", "orchestrator", "region_id", "payload"),
}
_NEEDED = ", ".join(f"('{table}', '{column}')" for table, columns in _NEEDED_COLUMNS.items() for column in columns)
_FACTS = f"""
    SELECT current_database()::text, getdatabaseencoding()::text, pg_is_in_recovery(),
        CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM pg_last_xact_replay_timestamp())::float8 END,
        current_setting('transaction_read_only')::bool OR current_setting('default_transaction_read_only')::bool,
        (SELECT array_agg(concat(attname, ' ', format_type(atttypid, NULL))) FROM pg_attribute
            WHERE attrelid = to_regclass('schema_migrations') AND attnum > 0 AND NOT attisdropped),
        (SELECT coalesce(array_agg(DISTINCT t), '{{}}') FROM (VALUES {_NEEDED}) needed (t, c)
            WHERE to_regclass(t) IS NOT NULL),
        (SELECT coalesce(array_agg(concat(t, '.', c)), '{{}}') FROM (VALUES {_NEEDED}) needed (t, c)
            WHERE NOT EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = to_regclass(t) AND attname = c AND NOT attisdropped)),
        current_setting('search_path'),
        to_regclass('public.schema_migrations') IS NOT NULL AND to_regclass('public.events') IS NOT NULL,
        current_setting('server_version')"""  # noqa: S608


@dataclass(frozen=True)
class DatabaseFacts:
    """What a database is at some moment.

    ``records`` are the rows of schema_migrations, at most two of them; None
    where there is no such table, and empty where it is another program's.
    ``replayed_until`` is the moment of the last commit that a standby has
    replayed, None where it has replayed none since its start.
    ``missing`` names the columns that our tables lack. ``is_read_only`` is
    also true of a standby.
    """

    name: str
    encoding: str
    is_standby: bool
    replayed_until: datetime | None
    is_read_only: bool
    record_columns: frozenset[str] | None
    records: tuple[Record, ...]
    tables: tuple[str, ...]
    missing: tuple[str, ...]
    search_path: str
    is_in_public: bool
    server_version: str

    @property
    def record(self) -> Record:
        """The version that the database has."""
        return self.records[0] if self.records else Record()

    @property
    def is_ours(self) -> bool:
        """Whether the database has the tables of the leaderboard, and can hold every result."""
        try:
            self.check_encoding()
            self.check_record(url_names_schema=False)
            self.check_tables()
        except MigrationError:
            return False
        return self.record.version is not None

    def check_encoding(self) -> None:
        """Raises MigrationError where the database cannot hold every result."""
        if self.encoding != ENCODING:
            raise MigrationError(
                f"the database {self.name} has the encoding {self.encoding} and cannot hold every result; "
                f"use one that is created with ENCODING '{ENCODING}' TEMPLATE template0"
            )

    def check_record(self, *, url_names_schema: bool) -> None:
        """Raises MigrationError where schema_migrations is another program's, or ours is out of sight.

        A schema that the URL names is where the tables belong, so those of
        another schema do not count.
        """
        is_ours = self.record_columns is None or self.record_columns >= RECORD_COLUMNS
        if not is_ours or len(self.records) > 1:
            raise MigrationError(
                f"the table schema_migrations in the database {self.name} is another program's; use a database of its "
                "own, or a schema of its own (?options=-csearch_path%3Dleaderboard in the URL)"
            )
        if self.record_columns is None and self.is_in_public and not self.tables and not url_names_schema:
            raise MigrationError(
                f"the tables in schema public of the database {self.name} are not in the search path "
                f"({self.search_path}); name the schema to use in the URL: ?options=-csearch_path%3Dpublic"
            )

    def check_tables(self) -> None:
        """Raises MigrationError where the tables are not those that the record promises."""
        version = self.record.version
        if version is not None and version > 0 and not self.record.dirty and self.missing:
            raise MigrationError(
                f"the record in the database {self.name} says version {version}, but {', '.join(self.missing[:3])} is "
                "not there: the record is another program's, or the tables were dropped"
            )
        if version is None and self.tables and self.missing:
            raise MigrationError(
                f"the table {self.tables[0]} in the database {self.name} is another program's; use another database"
            )


def read_facts(cursor: Cursor) -> DatabaseFacts:
    """The facts. It needs no table of ours and waits for no lock of theirs. Raises psycopg2's errors."""
    cursor.execute(_FACTS)
    ((name, encoding, is_standby, replayed, is_read_only, columns, tables, missing, *rest),) = cursor.fetchall()
    search_path, is_in_public, server_version = rest
    records: list[Record] = []
    if columns is not None and set(columns) >= RECORD_COLUMNS:
        cursor.execute("SELECT version, dirty FROM schema_migrations LIMIT 2")
        records = [Record(*row) for row in cursor.fetchall()]
    return DatabaseFacts(
        name=name,
        encoding=encoding,
        is_standby=is_standby,
        replayed_until=None if replayed is None else datetime.fromtimestamp(replayed, UTC),
        is_read_only=is_read_only,
        record_columns=None if columns is None else frozenset(columns),
        records=tuple(records),
        tables=tuple(sorted(tables)),
        missing=tuple(missing),
        search_path=search_path,
        is_in_public=is_in_public,
        server_version=server_version,
    )
