"""The table of regions whose posts were refused: how many posts, and when."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple, TypedDict

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

KEEP_DAYS = 7
"""A region is forgotten after so many days without a refused post."""
MAX_REFUSED_REGIONS = 1000
"""Those whose last refused post is the oldest are forgotten first."""


class RefusedRegion(TypedDict):
    """A region that takes no results now, and from which posts were refused: its code in upper case, and its job type.

    ``posts`` is the number of posts since ``first_at``. Moments are in RFC 3339.
    """

    id: str
    type: str
    posts: int
    first_at: str
    last_at: str


class Refusals(NamedTuple):
    """Refused posts of one region, and the moments of the first and the last one."""

    posts: int
    first_at: datetime
    last_at: datetime

    def plus(self, other: "Refusals") -> "Refusals":
        """Those of both."""
        return Refusals(self.posts + other.posts, min(self.first_at, other.first_at), max(self.last_at, other.last_at))


def add_refused(cursor: Cursor, refusals: Mapping[tuple[str, str], Refusals]) -> None:
    """Adds refused posts, given by code in upper case and job type, and deletes what is old."""
    rows = [(*key, *refused) for key, refused in refusals.items()]
    cursor.execute(
        """INSERT INTO refused_regions AS known (name, job_type, posts, first_at, last_at)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
            AS added (name, job_type, posts, first_at, last_at)
        -- in one order, so that two processes cannot wait for each other
        ORDER BY name, job_type
        ON CONFLICT (name, job_type) DO UPDATE SET posts = known.posts + excluded.posts,
            first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at)""",
        [list(column) for column in zip(*rows, strict=True)],
    )
    cursor.execute(
        """DELETE FROM refused_regions WHERE (name, job_type) IN (
            SELECT name, job_type FROM refused_regions
            WHERE last_at < now() - %s * interval '1 day' OR (name, job_type) IN (
                SELECT name, job_type FROM refused_regions ORDER BY last_at DESC OFFSET %s)
            FOR UPDATE SKIP LOCKED)""",
        (KEEP_DAYS, MAX_REFUSED_REGIONS),
    )


def forget_refused(cursor: Cursor, keys: Collection[tuple[str, str]]) -> None:
    """Deletes the refused posts of regions, given by code in upper case and job type, that take results from now on."""
    if keys:
        cursor.execute(
            """DELETE FROM refused_regions WHERE (name, job_type) IN (
                SELECT name, job_type FROM unnest(%s::text[], %s::text[]) AS taken (name, job_type))""",
            ([code for code, _ in keys], [job_type for _, job_type in keys]),
        )


def select_refused(cursor: Cursor) -> list[RefusedRegion]:
    """The regions that take no results now, and from which posts were refused within KEEP_DAYS, by code."""
    cursor.execute(
        """SELECT name, job_type, posts,
            to_char(first_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            to_char(last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        FROM refused_regions WHERE last_at >= now() - %s * interval '1 day' AND NOT EXISTS (
            SELECT FROM regions JOIN job_types ON job_types.id = job_type_id
            WHERE upper(regions.name) = refused_regions.name AND job_types.name = refused_regions.job_type
              AND retired_at IS NULL)
        ORDER BY name, job_type""",
        (KEEP_DAYS,),
    )
    return [RefusedRegion(id=row[0], type=row[1], posts=row[2], first_at=row[3], last_at=row[4]) for row in cursor]
