"""The table of regions: which are registered, and how new ones are added."""

from collections.abc import Sequence
from typing import TypedDict

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from queries import TRANSCODING


class Region(TypedDict):
    """A region as ``/api/regions`` has it: its code, its display name and its job type."""

    id: str
    name: str
    type: str


RegionKey = tuple[str, str]
"""The name of a region as the table has it, and its job type. The table has each at most once."""


def select_regions(cursor: Cursor) -> list[Region]:
    """All regions in the order of registration."""
    cursor.execute(
        "SELECT regions.name, display_name, job_types.name "
        "FROM regions JOIN job_types ON job_types.id = job_type_id ORDER BY regions.id"
    )
    return [Region(id=code, name=name, type=job_type) for code, name, job_type in cursor.fetchall()]


def insert_regions(cursor: Cursor, names: dict[str, str]) -> None:
    """Adds transcoding regions, given as display names by code, except those that exist by now."""
    cursor.execute(
        "INSERT INTO regions (name, display_name, job_type_id) "
        "SELECT added.code, added.name, job_types.id FROM unnest(%s::text[], %s::text[]) AS added (code, name) "
        # in one order, so that two processes cannot wait for each other
        "JOIN job_types ON job_types.name = %s ORDER BY added.code ON CONFLICT DO NOTHING",
        (list(names), list(names.values()), TRANSCODING),
    )


def select_ids(cursor: Cursor, keys: Sequence[RegionKey]) -> dict[RegionKey, int]:
    """The ids of regions in this transaction. Those that are not registered are absent."""
    cursor.execute(
        "SELECT regions.name, job_types.name, regions.id FROM regions JOIN job_types ON job_types.id = job_type_id "
        "JOIN unnest(%s::text[], %s::text[]) AS asked (name, job_type) "
        "ON asked.name = regions.name AND asked.job_type = job_types.name ORDER BY regions.id",
        ([name for name, _ in keys], [job_type for _, job_type in keys]),
    )
    return {(name, job_type): region_id for name, job_type, region_id in cursor.fetchall()}
