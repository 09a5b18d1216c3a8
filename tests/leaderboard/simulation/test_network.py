"""The simulated network has orchestrators of different sizes, in places on a globe, with better and worse weeks."""

from collections import defaultdict
from datetime import timedelta
from statistics import mean, median

import polars as pl
import pytest

from leaderboard.simulation.draws import named_random
from leaderboard.simulation.generator import Simulation
from leaderboard.simulation.network import Network, draw_network
from leaderboard.simulation.places import REGIONS, read_data, round_trip_seconds
from queries import AI
from tests.conftest import sample
from tests.leaderboard.simulation.conftest import SINCE, UNTIL, Result, share


@pytest.fixture(scope="module")
def network() -> Network:
    return draw_network(named_random(1, "network"), 100, SINCE, UNTIL)


def test_known_orchestrators_keep_their_addresses_and_jobs(network: Network) -> None:
    known = read_data("network.json")["orchestrators"]
    assert network.orchestrators["orchestrator"].head(len(known)).to_list() == [entry["address"] for entry in known]
    offered = network.jobs.join(network.orchestrators, on="node").select("orchestrator", "pipeline", "model").rows()
    named = {(entry["address"], *job) for entry in known for job in entry.get("jobs", ())}
    assert named <= set(offered)
    assert network.orchestrators["orchestrator"].n_unique() == 100


def test_every_place_is_on_the_globe_and_every_region_has_one() -> None:
    places = read_data("places.json")
    assert set(places["regions"]) == {region["id"] for region in sample("regions-seed.json")}
    for place in (*places["regions"].values(), *places["cities"]):
        assert -90 < place["latitude"] < 90
        assert -180 < place["longitude"] < 180


@pytest.mark.parametrize(
    ("start", "end", "kilometres"),
    [("NYC", "LAX", 3_936), ("LON", "SYD", 16_994), ("HND", "SEA", 7_709), ("FRA", "FRA", 0)],
)
def test_latency_follows_the_distance(start: str, end: str, kilometres: int) -> None:
    """The distances are those of a map service."""
    regions = read_data("places.json")["regions"]
    pair = {"a": regions[start]["latitude"], "b": regions[start]["longitude"]}
    pair |= {"c": regions[end]["latitude"], "d": regions[end]["longitude"]}
    seconds = pl.DataFrame([pair]).select(round_trip_seconds("a", "b", "c", "d")).item()
    # there and back, at half the speed of light in glass
    assert seconds == pytest.approx(0.008 + 2 * kilometres / 100_000, rel=0.01)


def test_sizes_differ(network: Network, results: list[Result]) -> None:
    assert network.sites.group_by("node").len()["len"].unique().sort().to_list() == [1, 2, 3, 4]
    jobs = network.jobs.group_by("node").len()["len"]
    assert (jobs.min(), jobs.max()) == (1, 7)
    regions = defaultdict(set)
    for result in results:
        if "segments_sent" in result:
            regions[result["orchestrator"]].add(result["region"])
    reached = [len(codes) for codes in regions.values()]
    assert min(reached) < 8
    assert max(reached) == 21


def test_orchestrators_differ_in_success_and_speed(results: list[Result]) -> None:
    success, seconds = defaultdict(list), defaultdict(list)
    for result in results:
        if "segments_sent" in result:
            success[result["orchestrator"]].append(result["success_rate"])
            seconds[result["orchestrator"]].append(result["transcode_time"])
    rates = sorted(mean(values) for values in success.values())
    assert rates[0] < 0.8
    assert median(rates) > 0.92
    times = sorted(median(values) for values in seconds.values())
    assert times[-1] > 3 * times[0]


def test_speed_does_not_follow_the_alphabet(results: list[Result]) -> None:
    times = defaultdict(list)
    for result in results:
        if "segments_sent" in result and result["round_trip_time"]:
            times[result["orchestrator"]].append(result["round_trip_time"])
    medians = pl.DataFrame({"median": [median(times[name]) for name in sorted(times)]}).with_row_index("place")
    assert abs(medians.select(pl.corr("place", "median", method="spearman")).item()) < 0.25


def test_near_region_is_faster_than_a_far_one(network: Network, results: list[Result]) -> None:
    """An orchestrator in one European city serves Prague sooner than New York."""
    europe = pl.col("longitude").is_between(-10, 40) & (pl.len().over("node") == 1)
    nodes = network.sites.filter(europe).join(network.orchestrators, on="node")["orchestrator"]
    times = defaultdict(list)
    for result in results:
        if "segments_sent" in result and result["round_trip_time"]:
            times[result["orchestrator"], result["region"]].append(result["download_time"])
    compared = [node for node in nodes if (node, "NYC") in times and (node, "PRG") in times]
    assert len(compared) > 5
    for node in compared:
        assert median(times[node, "PRG"]) < median(times[node, "NYC"])


def test_orchestrators_have_good_and_bad_weeks() -> None:
    simulation = Simulation(60_000, UNTIL - timedelta(days=112), UNTIL, orchestrators=10, ai_share=0)
    frame = pl.concat(simulation.frames())
    failed = pl.col("payload").str.contains('"error_code"')
    weeks = (
        frame.group_by("orchestrator", pl.col("event_time").dt.truncate("1w"))
        .agg(failed=failed.mean(), tests=pl.len())
        .filter(pl.col("tests") > 100)
        .group_by("orchestrator")
        .agg(spread=pl.col("failed").max() - pl.col("failed").min())
    )
    # by chance alone the shares of 300 tests differ by less than 0.1
    assert share(weeks["spread"] > 0.2) >= 0.6


def test_large_orchestrators_have_several_service_uris(network: Network) -> None:
    uris = network.sites["service_uri"]
    assert uris.n_unique() == uris.len()
    assert uris.str.contains(r"^https://[a-z]+\.[0-9a-f]{6}\.example\.org:8935$").all()
    assert len(REGIONS[AI]) == 6
