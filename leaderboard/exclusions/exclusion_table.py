"""The table of exclusions: which there are and were, who added them, and who removed them."""

from datetime import UTC, datetime
from typing import NamedTuple

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from queries import Exclusion


class StoredExclusion(NamedTuple):
    """An exclusion as the table has it. Times are in UTC. What was removed counts no more."""

    id: int
    exclusion: Exclusion
    added_at: datetime
    added_by: str
    removed_at: datetime | None
    removed_by: str | None

    @property
    def is_active(self) -> bool:
        """Whether its results are left out."""
        return self.removed_at is None


class UnknownExclusion(ValueError):
    """There is no exclusion with this id, or it was removed before."""


def select_exclusions(cursor: Cursor) -> list[StoredExclusion]:
    """All exclusions, removed ones too, in the order in which they were added."""
    # without a zone, since Python cannot hold the last moments of the year 9999 in every zone
    cursor.execute(
        "SELECT id, upper(region), job_type, since AT TIME ZONE 'UTC', until AT TIME ZONE 'UTC', reason, "
        "added_at AT TIME ZONE 'UTC', added_by, removed_at AT TIME ZONE 'UTC', removed_by FROM exclusions ORDER BY id"
    )
    return [
        StoredExclusion(
            id_,
            Exclusion(region, job_type, _in_utc(since), _in_utc(until), reason),
            _in_utc(added_at),
            added_by,
            removed_at and _in_utc(removed_at),
            removed_by,
        )
        for id_, region, job_type, since, until, reason, added_at, added_by, removed_at, removed_by in cursor.fetchall()
    ]


def insert_exclusion(cursor: Cursor, exclusion: Exclusion, added_by: str) -> int:
    """Adds an exclusion and returns its id."""
    cursor.execute(
        "INSERT INTO exclusions (region, job_type, since, until, reason, added_by) VALUES (%s, %s, %s, %s, %s, %s) "
        "RETURNING id",
        (exclusion.region, exclusion.job_type, exclusion.since, exclusion.until, exclusion.reason, added_by),
    )
    return int(cursor.fetchall()[0][0])


def remove_exclusion(cursor: Cursor, id_: int, removed_by: str) -> None:
    """Marks an exclusion as removed, so that its results count again. Raises UnknownExclusion."""
    cursor.execute(
        "UPDATE exclusions SET removed_at = now(), removed_by = %s WHERE id = %s AND removed_at IS NULL",
        (removed_by, id_),
    )
    if cursor.rowcount == 0:
        raise UnknownExclusion(f"there is no exclusion {id_} that counts; leaderboard exclusions list names them")


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
