"""How an operator adds, renames and retires regions. Each change is one transaction, and says what it did."""

from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.regions.refused_table import forget_refused
from leaderboard.regions.region_table import Region, insert_regions, lock_region, select_regions, update_region


class RegionError(ValueError):
    """A change of a region that is not possible. The message is one sentence."""


def add_region(cursor: Cursor, code: str, display_name: str, job_type: str) -> str:
    """Registers a region under a code in upper case for a job type, or has a retired one take results again.

    Raises RegionError where it is registered under another display name.
    """
    if insert_regions(cursor, {(code, job_type): display_name}):
        return f"{code} ({display_name}) is registered for {job_type} results"
    region = _find(cursor, code, job_type)
    if "retired_at" in region:
        update_region(cursor, code, job_type, display_name, retired=False)
        forget_refused(cursor, [(code, job_type)])
        return f"{code} ({display_name}) takes {job_type} results again"
    if region["name"] != display_name:
        raise RegionError(
            f"{code} is registered for {job_type} results already, as {region['name']}; "
            "leaderboard regions rename changes its display name"
        )
    return f"{code} ({display_name}) is registered for {job_type} results already"


def rename_region(cursor: Cursor, code: str, display_name: str, job_type: str) -> str:
    """Changes the display name of a region, given by its code in upper case. Raises RegionError where there is none."""
    region = _find(cursor, code, job_type)
    update_region(cursor, code, job_type, display_name, retired="retired_at" in region)
    return f"{code} is called {display_name} for {job_type} results; before, it was {region['name']}"


def retire_region(cursor: Cursor, code: str, job_type: str) -> str:
    """Has a region, given by its code in upper case, take no more results. Raises RegionError where there is none."""
    region = _find(cursor, code, job_type)
    if "retired_at" in region:
        return f"{code} ({region['name']}) has taken no {job_type} results since {region['retired_at']}"
    update_region(cursor, code, job_type, region["name"], retired=True)
    return f"{code} ({region['name']}) takes no more {job_type} results; those that are stored stay"


def _find(cursor: Cursor, code: str, job_type: str) -> Region:
    region = lock_region(cursor, code, job_type)
    if region is None:
        codes = sorted(known["id"] for known in select_regions(cursor) if known["type"] == job_type)
        raise RegionError(f"{code} is not registered for {job_type} results; registered are {', '.join(codes)}")
    return region
