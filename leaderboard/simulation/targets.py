"""What the testers test: in each region every orchestrator that they reach, with each of its AI jobs."""

from random import Random

import polars as pl

from leaderboard.simulation.draws import with_draws
from leaderboard.simulation.network import Network
from leaderboard.simulation.places import OLDER_AI_REGIONS, region_places, round_trip_seconds
from queries import AI, TRANSCODING

TURNS_PER_ROUND = 3
"""How often a round tests an AI job: a round is a day. Live video has another prompt in each turn."""
STRAY_SECONDS = 0.1
"""How much further a region may be than another that is not reached."""


def transcoding_targets(random: Random, network: Network) -> pl.DataFrame:
    """One row per orchestrator and region in which it can be tested, by its nearest site.

    Columns: those of ``network.orchestrators``, region, distance (seconds there
    and back), longitude (of the site, in degrees).
    """
    return _reach(random, network, TRANSCODING).join(network.orchestrators, on="node", maintain_order="left")


def ai_targets(random: Random, network: Network) -> pl.DataFrame:
    """One row per orchestrator, site, AI job and region in which it can be tested.

    Columns: as ``transcoding_targets``, service_uri, pipeline, model,
    base_seconds, base_fps, older (Boolean: the tester is of an older release).

    Every site offers the first job of its orchestrator; the sites take turns at the others.
    """
    sites = network.sites.with_columns(site=pl.int_range(pl.len()).over("node"), sites=pl.len().over("node"))
    jobs = network.jobs.with_columns(job=pl.int_range(pl.len()).over("node"))
    offered = sites.join(jobs, on="node", maintain_order="left_right").filter(
        (pl.col("job") == 0) | ((pl.col("job") + pl.col("site")) % pl.col("sites") == 0)
    )
    reached = _reach(random, network, AI).select("node", "region")
    return (
        offered.join(reached, on="node", maintain_order="left_right")
        .join(region_places(AI), on="region", suffix="_region", maintain_order="left")
        .join(network.orchestrators, on="node", maintain_order="left")
        .with_columns(
            distance=round_trip_seconds("latitude", "longitude", "latitude_region", "longitude_region"),
            older=pl.col("region").is_in(OLDER_AI_REGIONS),
        )
        .drop("site", "sites", "job", "latitude", "latitude_region", "longitude_region")
    )


def transcoding_round(targets: pl.DataFrame) -> pl.DataFrame:
    """The order in which targets are tested again and again: each once, an orchestrator in one region after the other.

    Columns: target (UInt32, the number of the row in ``targets``), turn (0),
    region, arrives, departs.
    """
    region_share = pl.int_range(pl.len()).over("node") / pl.len().over("node")
    entries = targets.with_row_index("target").with_columns(turn=pl.lit(0, pl.Int64))
    return _in_order(entries.with_columns(order=(pl.col("start") + region_share) % 1))


def ai_round(random: Random, targets: pl.DataFrame) -> pl.DataFrame:
    """As ``transcoding_round``, but each target has TURNS_PER_ROUND turns: one if its tester is older."""
    turns = pl.DataFrame({"turn": range(TURNS_PER_ROUND)})
    entries = (
        with_draws(targets.with_row_index("target"), random, "start")
        .join(turns, how="cross")
        .filter(~pl.col("older") | (pl.col("turn") == 0))
    )
    return _in_order(entries.with_columns(order=(pl.col("start") + pl.col("turn") / TURNS_PER_ROUND) % 1))


def _reach(random: Random, network: Network, job_type: str) -> pl.DataFrame:
    """One row per orchestrator and region in which it can be tested: node, region, distance, longitude.

    These are the regions near its sites, more or less: as many as its reach says, and at least one.
    """
    regions = region_places(job_type)
    nearest = (
        network.sites.join(regions, how="cross", suffix="_region")
        .with_columns(distance=round_trip_seconds("latitude", "longitude", "latitude_region", "longitude_region"))
        .sort("distance", maintain_order=True)
        .unique(["node", "region"], keep="first", maintain_order=True)
        .sort("node", "region")
        .join(network.orchestrators.select("node", "reach"), on="node", maintain_order="left")
    )
    rank = (pl.col("distance") + STRAY_SECONDS * pl.col("stray")).rank("ordinal").over("node")
    return (
        with_draws(nearest, random, "stray")
        .filter(rank <= (pl.col("reach") * regions.height).ceil())
        .select("node", "region", "distance", "longitude")
    )


def _in_order(entries: pl.DataFrame) -> pl.DataFrame:
    return entries.sort("order", "target").select("target", "turn", "region", "arrives", "departs")
