"""What went wrong at a tester is found, and nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import AI, INCIDENT_EVENT_COLUMNS, INCIDENT_KINDS, TRANSCODING, incidents, sample_data
from tests.queries.conftest import make_events
from tests.queries.incidents.made_network import ORCHESTRATORS, REGIONS, Fault, make_network

RULES = {"failures": "most_failed", "slowness": "most_slow", "silence": "long_pause"}
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("job_type", [TRANSCODING, AI])
@pytest.mark.parametrize("kind", INCIDENT_KINDS)
def test_planted_incident_is_found_on_every_engine(
    on_engine: Callable[[pl.DataFrame], Any], kind: str, job_type: str
) -> None:
    fault = Fault(kind, 50.5, 62)
    events = make_network(fault, job_type=job_type)
    expected = incidents(events)
    (row,) = expected.to_dicts()
    assert (row["region"], row["job_type"], row["kind"], row["rule"]) == ("FRA", job_type, kind, RULES[kind])
    assert abs(row["begin"] - fault.begin) <= HOUR
    assert abs(row["end"] - fault.end) <= HOUR
    if kind == "silence":
        assert (row["share_affected"], row["orchestrators"], row["events"]) == (None, None, None)
    else:
        assert (row["share_affected"], row["orchestrators"]) == (1.0, ORCHESTRATORS)
        assert row["events"] == pytest.approx(ORCHESTRATORS * 11.5, abs=ORCHESTRATORS)
    assert_frame_equal(incidents(on_engine(events)), expected, rel_tol=1e-9, abs_tol=1e-9)


def test_most_planted_incidents_are_found_and_nothing_else() -> None:
    planted = found = 0
    for seed in range(5):
        faults = [
            Fault(kind, 30 + 50 * number + seed, 36 + 50 * number + seed, (region,))
            for number, (kind, region) in enumerate(zip(INCIDENT_KINDS, REGIONS, strict=True))
        ]
        rows = incidents(make_network(*faults, seed=seed)).rows_by_key("region", named=True)
        assert {region: [row["kind"] for row in rows[region]] for region in rows} == {
            fault.regions[0]: [fault.kind] for fault in faults if fault.regions[0] in rows
        }
        planted += len(faults)
        found += len(rows)
    assert found / planted >= 0.95


@pytest.mark.parametrize("seed", range(8))
def test_network_without_incidents_has_none(seed: int) -> None:
    assert incidents(make_network(seed=seed, days=14)).is_empty()


@pytest.mark.parametrize("kind", ["failures", "slowness"])
@pytest.mark.parametrize(
    "fault",
    [
        {"regions": REGIONS},
        {"regions": REGIONS[:2]},
        {"orchestrators": 3},
        {"orchestrators": 3, "regions": REGIONS},
    ],
    ids=["all regions", "most regions", "few orchestrators", "few orchestrators in all regions"],
)
def test_trouble_of_the_network_or_of_few_is_no_incident(kind: str, fault: dict[str, Any]) -> None:
    assert incidents(make_network(Fault(kind, 50, 62, **fault))).is_empty()


def test_two_incidents_that_are_far_apart_are_two() -> None:
    rows = incidents(make_network(Fault("failures", 40, 46), Fault("failures", 60, 66)))
    assert rows["kind"].to_list() == ["failures"] * 2


def test_short_good_time_within_an_incident_is_part_of_it() -> None:
    (row,) = incidents(make_network(Fault("failures", 40, 46), Fault("failures", 48, 54))).to_dicts()
    assert row["end"] - row["begin"] == pytest.approx(14 * HOUR, abs=HOUR)


def test_orchestrator_that_always_fails_tells_nothing() -> None:
    events = make_network(Fault("failures", 50, 56))
    # half of the network is never good for anything
    always = pl.col("orchestrator").str.slice(-1).cast(pl.Int64) < ORCHESTRATORS // 2
    events = events.with_columns(success_rate=pl.when(always).then(0.0).otherwise("success_rate"))
    assert incidents(events).is_empty(), "four orchestrators are too few"


def test_unscored_results_do_not_count() -> None:
    events = make_network(Fault("failures", 50, 62))
    busy = events.with_columns(outcome=pl.when(pl.col("success_rate") < 1).then(pl.lit("unscored_busy")))
    assert incidents(busy).is_empty()
    failed = busy.with_columns(outcome=pl.col("outcome").str.replace(".*", "failed"))
    assert incidents(failed)["kind"].to_list() == ["failures"]


def test_live_video_of_low_quality_is_slow() -> None:
    events = make_network(Fault("slowness", 50, 62), job_type=AI)
    number = pl.col("orchestrator").str.slice(-1).cast(pl.Int64)
    live, took_longer = pl.lit("live-video-to-video"), pl.col("round_trip_time") > 2 * (1 + number)
    quality = pl.when(pl.col("success_rate") < 1).then(0.0).when(took_longer).then(0.3).otherwise(0.9)
    streams = events.with_columns(pipeline=live, pipeline_slug=live, round_trip_time=quality)
    (row,) = incidents(streams).to_dicts()
    assert (row["kind"], row["region"]) == ("slowness", "FRA")


def test_silence_that_goes_on_ends_at_the_newest_result() -> None:
    events = make_network(Fault("silence", 150, 1000))
    (row,) = incidents(events).to_dicts()
    assert row["end"] == events["event_time"].max()


def test_tester_that_posts_rarely_has_no_silence() -> None:
    events = make_network(Fault("silence", 50, 62))
    rare = events.filter((pl.col("region") != "FRA") | (pl.int_range(pl.len()).over("region") % 20 == 0))
    assert incidents(rare).is_empty()


def test_region_and_job_type_select_rows() -> None:
    transcoding = make_network(Fault("failures", 50, 62), Fault("silence", 20, 40, ("NYC",)))
    events = pl.concat([transcoding, make_network(Fault("slowness", 80, 92), job_type=AI, seed=2)])
    everything = incidents(events)
    assert everything["kind"].to_list() == ["silence", "failures", "slowness"]
    assert_frame_equal(incidents(events, region="FRA"), everything.filter(region="FRA"))
    assert_frame_equal(incidents(events, job_type=AI), everything.filter(job_type=AI))
    assert_frame_equal(incidents(events, region="NYC", job_type=TRANSCODING), everything.head(1))
    assert incidents(events, region="NOWHERE").is_empty()


def test_few_columns_of_an_event_are_enough() -> None:
    events = make_network(Fault("slowness", 50, 62))
    assert_frame_equal(incidents(events.select(INCIDENT_EVENT_COLUMNS)), incidents(events))


@pytest.mark.parametrize("events", [make_events([]), make_events([{}]), sample_data.events()], ids=["0", "1", "8"])
def test_few_events_have_no_incidents(on_engine: Callable[[pl.DataFrame], Any], events: pl.DataFrame) -> None:
    found = incidents(on_engine(events))
    assert found.is_empty()
    assert found.schema == incidents(make_network(days=1)).schema
