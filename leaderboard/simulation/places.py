"""Where testers and orchestrators are, and how long data travels between them."""

import json
from importlib.resources import files
from typing import Any

import polars as pl

from queries import AI, TRANSCODING

REGIONS = {
    TRANSCODING: (
        *("ATL", "ATL2", "MDW", "FRA", "HOU", "LON", "LAX", "MAD", "MIA", "MOS2", "ASH"),
        *("NYC", "PRG", "SJO", "SAO", "SEA", "SIN", "STO", "SYD", "HND", "TOR"),
    ),
    AI: ("MDW", "FRA", "SEA", "NYC", "LAX", "GLOBAL"),
}
"""Job type to the regions whose testers run such jobs. ``leaderboard regions list`` has all that are registered."""
OLDER_AI_REGIONS = ("LAX", "GLOBAL")
"""Their testers run an older release: once a day, with other spellings and other fields."""

EARTH_RADIUS_KM = 6_371.0
CABLE_KM_PER_SECOND = 100_000.0
"""Light travels twice as far in glass, but cables take detours."""
NEAREST_SECONDS = 0.008


def read_data(name: str) -> Any:
    """The document in a JSON file of this package."""
    return json.loads((files("leaderboard.simulation") / name).read_text(encoding="utf-8"))


def region_places(job_type: str) -> pl.DataFrame:
    """One row per region of a job type: region, latitude and longitude in degrees."""
    places = read_data("places.json")["regions"]
    return pl.DataFrame([{"region": region} | places[region] for region in REGIONS[job_type]])


def round_trip_seconds(latitude: str, longitude: str, to_latitude: str, to_longitude: str) -> pl.Expr:
    """The time of a packet there and back between the places in these columns, which hold degrees.

    The distance is that on a sphere (haversine formula).
    """
    start, end = pl.col(latitude).radians(), pl.col(to_latitude).radians()
    across = (pl.col(to_longitude) - pl.col(longitude)).radians()
    half_chord = ((end - start) / 2).sin() ** 2 + start.cos() * end.cos() * (across / 2).sin() ** 2
    return NEAREST_SECONDS + 2 * 2 * EARTH_RADIUS_KM * half_chord.sqrt().arcsin() / CABLE_KM_PER_SECOND
