"""The lakes of a database, as the database knows them: what each has, so that nothing is pruned that one still lacks.

A machine that keeps a lake of its own may be behind the one that prunes. What
is pruned then, it can never read again.
"""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.lake.errors import LakeError
from leaderboard.lake.table import LakeTable
from leaderboard.postgres.admin import connect, transaction
from queries import is_local_path
from queries.db import translate_psycopg2_error

FORGET_AFTER = timedelta(days=7)
"""A lake that was not synced for this long does not hold up pruning. Its machine may be gone."""
_RECORD = """
    INSERT INTO lakes (id, place, watermark) VALUES (%s, %s, %s)
    ON CONFLICT (id) DO UPDATE SET place = excluded.place, watermark = excluded.watermark, synced_at = now()"""
_BEHIND = """
    SELECT place, now() - synced_at FROM lakes
    WHERE id <> %s AND watermark < %s AND synced_at > now() - %s::interval ORDER BY place"""


def record_lake(url: str, lake_url: str, timeout: float, database: int) -> None:
    """Records in the database at ``url`` how far a lake reaches, unless that is of another database.

    ``timeout`` is the limit for connecting, in seconds; ``database`` is the
    hash64 of DatabaseState.database. Raises LakeError, StoreUnavailable and
    StoreTimeout.
    """
    lake = LakeTable(lake_url)
    snapshot = lake.snapshot()
    if snapshot is not None and snapshot.database != database:
        return
    watermark = -1 if snapshot is None else snapshot.watermark
    place = f"{lake_url} on {socket.gethostname()}" if is_local_path(lake_url) else lake_url
    with _cursor(url, timeout) as cursor:
        cursor.execute(_RECORD, (lake.id, place, watermark))


def check_other_lakes_reach(url: str, timeout: float, table_id: str, max_id: int) -> None:
    """Raises LakeError if a lake other than ``table_id`` was synced lately and does not reach ``max_id`` yet.

    Raises StoreUnavailable and StoreTimeout.
    """
    with _cursor(url, timeout) as cursor:
        cursor.execute(_BEHIND, (table_id, max_id, FORGET_AFTER))
        behind = [f"{place} (synced {timedelta(seconds=round(age.total_seconds()))} ago)" for place, age in cursor]
    if behind:
        raise LakeError(
            f"other lakes of this database lack some of these results: {', '.join(behind)}; wait for their next sync, "
            f"or {FORGET_AFTER.days} days where a machine is gone"
        )


@contextmanager
def _cursor(url: str, timeout: float) -> Iterator[Cursor]:
    try:
        with closing(connect(url, timeout)) as connection, transaction(connection) as cursor:
            yield cursor
    except psycopg2.Error as error:
        raise translate_psycopg2_error(error, url) from error
