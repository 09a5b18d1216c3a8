"""The ranking over HTTP."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events
from tests.support.recorded import AI_JOB, ALL, PIPELINE, SCORE_FIELDS, error_of, ranking_rows
from tests.support.results import transcoding_event


def test_scores_are_means_of_the_regional_scores(recorded: FlaskClient) -> None:
    regions = recorded.get(f"/api/aggregated_stats?{ALL}").json
    rows = ranking_rows(recorded, "")
    assert {row["orchestrator"] for row in rows} == regions.keys()
    for row in rows:
        parts = list(regions[row["orchestrator"]].values())
        assert row["regions"] == len(parts)
        for field in SCORE_FIELDS:
            assert row[field] == pytest.approx(sum(part[field] for part in parts) / len(parts), abs=1e-9)
        assert row["succeeded"] + row["failed"] == row["events"]
        assert 0 <= row["success_ci_low"] < row["success_ci_high"] <= 1
        assert isinstance(row["last_seen"], int)
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)


@pytest.mark.parametrize("sort", ["score", "events", "p95_round_trip_time", "last_seen", "orchestrator", "failed"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_together_are_the_whole_ranking(recorded: FlaskClient, sort: str, order: str) -> None:
    query = f"sort={sort}&order={order}"
    whole = ranking_rows(recorded, query)
    values = [row[sort] for row in whole]
    assert values == sorted(values, reverse=order == "desc")
    pages, path = [], f"/api/leaderboard?{ALL}&{query}&limit=3"
    while path:
        response = recorded.get(path)
        pages.append(response.json["leaderboard"])
        assert response.json["total"] == len(whole)
        link = response.headers.get("Link", "")
        assert ("next_cursor" in response.json) == bool(link)
        assert f"cursor={response.json.get('next_cursor', '')}" in link or not link
        path = link.partition(">")[0].removeprefix("<")
    assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)
    assert [row["orchestrator"] for page in pages for row in page] == [row["orchestrator"] for row in whole]


@pytest.mark.parametrize(
    ("sort", "descending"), [("score", True), ("rank", False), ("p50_round_trip_time", False), ("events", True)]
)
def test_best_rows_are_first_by_default(recorded: FlaskClient, sort: str, descending: bool) -> None:
    values = [row[sort] for row in ranking_rows(recorded, f"sort={sort}")]
    assert values == sorted(values, reverse=descending)


def test_rank_is_by_score_whatever_the_order(recorded: FlaskClient) -> None:
    ranks = {row["orchestrator"]: row["rank"] for row in ranking_rows(recorded, "")}
    assert {row["orchestrator"]: row["rank"] for row in ranking_rows(recorded, "sort=events")} == ranks


def test_min_events_leaves_out_orchestrators_with_fewer_events(recorded: FlaskClient) -> None:
    rows = ranking_rows(recorded, "")
    least = sorted(row["events"] for row in rows)[3]
    found = ranking_rows(recorded, f"min_events={least}")
    assert len(found) == sum(row["events"] >= least for row in rows) < len(rows)
    assert found[0]["rank"] == 1


@pytest.mark.parametrize("query", [AI_JOB, f"pipeline={quote(PIPELINE)}", "job_type=ai", f"{AI_JOB}&region=fra"])
def test_ai_jobs_of_one_model_one_pipeline_or_all_are_ranked(recorded: FlaskClient, query: str) -> None:
    rows = ranking_rows(recorded, query)
    assert rows
    assert all(0 <= row["score"] <= 1 for row in rows)


def test_more_jobs_are_more_events(recorded: FlaskClient) -> None:
    model, pipeline, every = (
        sum(row["events"] for row in ranking_rows(recorded, query))
        for query in (AI_JOB, f"pipeline={quote(PIPELINE)}", "job_type=ai")
    )
    assert model < pipeline < every


@pytest.mark.parametrize(
    ("query", "beginning"),
    [
        ("sort=luck", "sort must be one of rank, orchestrator, score,"),
        ("order=up", "order must be one of asc, desc, not 'up'"),
        ("limit=0", "limit must be an integer from 1 to 1000, not '0'"),
        ("limit=1001", "limit must be an integer from 1 to 1000"),
        ("limit=1.5", "limit must be an integer"),
        ("limit=٣", "limit must be an integer"),
        ("min_events=-1", "min_events must be an integer"),
        ("cursor=x", "cursor must be the next_cursor of a response"),
        ("cursor=%F0%9F%98%80", "cursor must be the next_cursor of a response"),
        ("cursor=WzFd", "cursor must be the next_cursor of a response"),
        ("model=m", "pipeline required"),
        ("job_type=x", "job_type must be"),
    ],
)
def test_invalid_parameter_is_named(recorded: FlaskClient, query: str, beginning: str) -> None:
    assert error_of(recorded, f"leaderboard?{query}").startswith(beginning)


@pytest.mark.parametrize("change", ["sort=events", "region=FRA", "min_events=3", "order=asc", "job_type=ai"])
def test_cursor_of_another_query_is_refused(recorded: FlaskClient, change: str) -> None:
    cursor = recorded.get(f"/api/leaderboard?{ALL}&limit=2").json["next_cursor"]
    assert recorded.get(f"/api/leaderboard?{ALL}&limit=5&cursor={cursor}").status_code == 200
    told = error_of(recorded, f"leaderboard?{ALL}&limit=2&{change}&cursor={cursor}")
    assert told == "cursor must come with the other parameters of the request that returned it"


def test_pages_share_one_window_though_results_arrive_in_between(database: str, client: FlaskClient) -> None:
    now = datetime.now(UTC).timestamp()
    first, second, third, new = ("0x" + letter * 40 for letter in "abcd")
    rates = {first: 0.9, second: 0.6, third: 0.3}
    load_events(database, [transcoding_event(now - 60, name, success_rate=rate) for name, rate in rates.items()])
    page = client.get("/api/leaderboard?limit=1").json
    assert [row["orchestrator"] for row in page["leaderboard"]] == [first]
    # one that would be the last, and one that would change the second
    later = datetime.now(UTC).timestamp()
    load_events(
        database, [transcoding_event(later, new, success_rate=0.1), transcoding_event(later, second, success_rate=0)]
    )
    assert len(client.get("/api/leaderboard").json["leaderboard"]) == 4
    seen = []
    while "next_cursor" in page:
        page = client.get(f"/api/leaderboard?limit=1&cursor={page['next_cursor']}").json
        seen += [(row["orchestrator"], row["success_rate"]) for row in page["leaderboard"]]
    assert seen == [(second, 0.6), (third, 0.3)]
