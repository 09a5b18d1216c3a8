"""The table of regions: which are registered, and how they are added, renamed and retired."""

from collections.abc import Collection, Mapping
from typing import NotRequired, TypedDict

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.regions.refused_table import forget_refused


class Region(TypedDict):
    """A region as ``/api/regions`` has it: its code, its display name and its job type.

    A region that takes no more results has the moment of its retirement, too,
    in RFC 3339.
    """

    id: str
    name: str
    type: str
    retired_at: NotRequired[str]


RegionKey = tuple[str, str]
"""The name of a region as the table has it, and its job type. The table has each at most once."""

_COLUMNS = """regions.name, display_name, job_types.name,
    to_char(retired_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
_SAME_REGION = """regions.job_type_id = job_types.id AND job_types.name = %(job_type)s
        AND upper(regions.name) = %(code)s"""
"""Which rows a code in upper case and a job type mean. Rows that were added by hand may have it in any case."""


def select_regions(cursor: Cursor) -> list[Region]:
    """All regions in the order of registration."""
    cursor.execute(
        f"SELECT {_COLUMNS} FROM regions JOIN job_types ON job_types.id = job_type_id ORDER BY regions.id"  # noqa: S608
    )
    return [_to_region(*row) for row in cursor.fetchall()]


def insert_regions(cursor: Cursor, names: Mapping[RegionKey, str]) -> list[RegionKey]:
    """Adds regions, given as display names by code in upper case and job type, and returns the new ones.

    Those that exist by now stay as they are, retired ones too.
    """
    cursor.execute(
        """INSERT INTO regions AS added (name, display_name, job_type_id)
        SELECT given.code, given.name, job_types.id
        FROM unnest(%s::text[], %s::text[], %s::text[]) AS given (code, job_type, name)
        JOIN job_types ON job_types.name = given.job_type
        WHERE NOT EXISTS (SELECT FROM regions WHERE upper(regions.name) = given.code AND job_type_id = job_types.id)
        -- in one order, so that two processes cannot wait for each other
        ORDER BY given.code, given.job_type ON CONFLICT DO NOTHING
        RETURNING added.name, (SELECT job_types.name FROM job_types WHERE job_types.id = added.job_type_id)""",
        ([code for code, _ in names], [job_type for _, job_type in names], list(names.values())),
    )
    added: list[RegionKey] = cursor.fetchall()
    forget_refused(cursor, added)
    return added


def lock_region(cursor: Cursor, code: str, job_type: str) -> Region | None:
    """The region with this code in upper case, which nobody else changes until the transaction ends."""
    cursor.execute(
        f"SELECT {_COLUMNS} FROM regions, job_types WHERE {_SAME_REGION} "  # noqa: S608
        "ORDER BY regions.id FOR NO KEY UPDATE OF regions",
        {"code": code, "job_type": job_type},
    )
    found = cursor.fetchall()
    return _to_region(*found[-1]) if found else None


def update_region(cursor: Cursor, code: str, job_type: str, display_name: str, *, retired: bool) -> None:
    """Sets the display name of a region, given by its code in upper case, and whether it is retired."""
    cursor.execute(
        f"""UPDATE regions SET display_name = %(display_name)s,
            retired_at = CASE WHEN %(retired)s THEN coalesce(retired_at, now()) END
        FROM job_types WHERE {_SAME_REGION}""",  # noqa: S608
        {"code": code, "job_type": job_type, "display_name": display_name, "retired": retired},
    )


def select_ids(cursor: Cursor, keys: Collection[RegionKey]) -> dict[RegionKey, int]:
    """The ids of regions in this transaction. Those that are not registered, or retired, are absent."""
    cursor.execute(
        "SELECT regions.name, job_types.name, regions.id FROM regions JOIN job_types ON job_types.id = job_type_id "
        "JOIN unnest(%s::text[], %s::text[]) AS asked (name, job_type) "
        "ON asked.name = regions.name AND asked.job_type = job_types.name "
        "WHERE retired_at IS NULL ORDER BY regions.id",
        ([name for name, _ in keys], [job_type for _, job_type in keys]),
    )
    return {(name, job_type): region_id for name, job_type, region_id in cursor.fetchall()}


def _to_region(code: str, name: str, job_type: str, retired_at: str | None) -> Region:
    region = Region(id=code, name=name, type=job_type)
    if retired_at is not None:
        region["retired_at"] = retired_at
    return region
