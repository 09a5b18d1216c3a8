"""Histories of scores over HTTP."""

from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from flask.testing import FlaskClient

from leaderboard.web.media_types import JSON
from leaderboard.web.params import InvalidParameter
from leaderboard.web.rendering import MAX_HISTORY_ROWS, render_history
from tests.support.recorded import (
    ADDRESS,
    AI_JOB,
    ALL,
    EVENTS,
    OTHER_ADDRESS,
    PIPELINE,
    SCORE_FIELDS,
    error_of,
    ranking_rows,
)

DAY = 86400


def history(client: FlaskClient, query: str) -> list[dict[str, Any]]:
    response = client.get(f"/api/score_history?{ALL}&{query}")
    assert response.status_code == 200, response.json
    return response.json["history"]


@pytest.mark.parametrize(("interval", "seconds"), [("1h", 3600), ("6h", 21600), ("1d", DAY), ("7d", 7 * DAY)])
def test_buckets_start_at_multiples_of_the_interval_since_1970(
    recorded: FlaskClient, interval: str, seconds: int
) -> None:
    rows = history(recorded, f"orchestrator={ADDRESS}&interval={interval}")
    assert rows
    assert {row["bucket"] % seconds for row in rows} == {0}
    assert all(isinstance(row["bucket"], int) and isinstance(row["events"], int) for row in rows)
    assert sum(row["events"] for row in rows) == ranking_rows(recorded, f"orchestrator={ADDRESS}")[0]["events"]


@pytest.mark.parametrize("job", ["", f"&{AI_JOB}"])
def test_bucket_equals_aggregated_stats_of_its_time(recorded: FlaskClient, job: str) -> None:
    rows = history(recorded, f"orchestrator={ADDRESS.upper()}&interval=7d{job}")
    middle = sorted({row["bucket"] for row in rows})[2]
    window = f"since={middle}&until={middle + 7 * DAY - 0.000001}"
    expected = recorded.get(f"/api/aggregated_stats?{window}{job}").json[ADDRESS]
    found = {row["region"]: row for row in rows if row["bucket"] == middle}
    assert found.keys() == expected.keys()
    for region, row in found.items():
        assert [row[field] for field in SCORE_FIELDS] == pytest.approx(
            [expected[region][field] for field in SCORE_FIELDS], abs=1e-9
        )
        assert ("median_round_trip_time" in row) == bool(job)


def test_several_orchestrators_are_repeated_or_separated_by_commas(recorded: FlaskClient) -> None:
    rows = history(recorded, f"orchestrator={ADDRESS}&orchestrator={OTHER_ADDRESS}&region=fra")
    assert {(row["orchestrator"], row["region"]) for row in rows} == {(ADDRESS, "FRA"), (OTHER_ADDRESS, "FRA")}
    assert history(recorded, f"orchestrator={OTHER_ADDRESS},{ADDRESS}&region=FRA") == rows


def test_without_orchestrator_history_is_of_the_network(recorded: FlaskClient) -> None:
    rows = history(recorded, "interval=1d&region=FRA")
    assert "orchestrator" not in rows[0]
    assert len({row["bucket"] for row in rows}) == len(rows)
    everyone = sum(row["events"] for row in ranking_rows(recorded, "region=FRA"))
    assert sum(row["events"] for row in rows) == everyone


def test_pipeline_alone_returns_each_of_its_models(recorded: FlaskClient) -> None:
    rows = history(recorded, f"pipeline={quote(PIPELINE)}&interval=7d")
    assert len({row["model"] for row in rows}) > 1
    assert {row["pipeline"] for row in rows} == {PIPELINE}


@pytest.mark.parametrize(
    ("window", "interval"),
    [
        (f"since={EVENTS['t0']}&until={EVENTS['t0'] + 2 * DAY}", "1h"),
        (f"since={EVENTS['t0']}&until={EVENTS['t0'] + 14 * DAY}", "6h"),
        (ALL, "1d"),
        (f"until={EVENTS['t1']}", "7d"),
        ("since=9&until=5", "1h"),
    ],
)
def test_window_chooses_the_default_interval(recorded: FlaskClient, window: str, interval: str) -> None:
    assert recorded.get(f"/api/score_history?{window}").json["interval"] == interval


def test_unknown_region_or_orchestrator_returns_empty(recorded: FlaskClient) -> None:
    assert history(recorded, "region=NOWHERE") == []
    assert history(recorded, "orchestrator=0xnobody") == []


def test_too_many_rows_are_refused_with_a_hint() -> None:
    frame = pl.DataFrame({"bucket": range(MAX_HISTORY_ROWS + 1)})
    with pytest.raises(InvalidParameter, match=r"^interval 6h gives 100,001 rows here.* at most 100,000; ask for"):
        render_history(frame, "6h", JSON)


@pytest.mark.parametrize(
    ("query", "beginning"),
    [
        ("interval=2d", "interval must be one of 1h, 6h, 1d, 7d, not '2d'"),
        ("model=m", "pipeline required"),
        ("job_type=x", "job_type must be"),
        ("orchestrator=" + ",".join(map(str, range(101))), "orchestrator may be given 100 times, not 101"),
    ],
)
def test_invalid_parameter_is_named(recorded: FlaskClient, query: str, beginning: str) -> None:
    assert error_of(recorded, f"score_history?{query}").startswith(beginning)
