"""History, ranking and one orchestrator at a glance, over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from leaderboard.web import table_responses
from tests.conftest import conformance, load_events

EVENTS = conformance("events")
ALL = f"since={EVENTS['t0']}&until={EVENTS['t1']}"
OWN = "0x023c39c200661fccd268a29a0d347301ef56e64d"
OTHER = "0x1ead8f062d15a4f4ef27e9589c6948f6d30c01c3"
PIPELINE, MODEL = "Text to image", "ByteDance/SDXL-Lightning"
AI_JOB = f"pipeline={quote(PIPELINE)}&model={quote(MODEL)}"
DAY = 86400
SCORES = ("success_rate", "round_trip_score", "score")


@pytest.fixture(scope="module")
def recorded(events_database: str) -> Iterator[FlaskClient]:
    app: Flask = create_app(Settings(postgres=events_database))
    yield app.test_client()
    app.extensions["leaderboard"].close()


def history(client: FlaskClient, query: str) -> list[dict[str, Any]]:
    response = client.get(f"/api/score_history?{ALL}&{query}")
    assert response.status_code == 200, response.json
    return response.json["history"]


def ranking(client: FlaskClient, query: str) -> list[dict[str, Any]]:
    response = client.get(f"/api/leaderboard?{ALL}&{query}")
    assert response.status_code == 200, response.json
    return response.json["leaderboard"]


def sentence(client: FlaskClient, path: str) -> str:
    response = client.get(f"/api/{path}")
    assert response.status_code == 400
    return response.json["error"]


class TestHistory:
    @pytest.mark.parametrize(("interval", "seconds"), [("1h", 3600), ("6h", 21600), ("1d", DAY), ("7d", 7 * DAY)])
    def test_buckets_begin_at_multiples_of_the_interval_since_1970(
        self, recorded: FlaskClient, interval: str, seconds: int
    ) -> None:
        rows = history(recorded, f"orchestrator={OWN}&interval={interval}")
        assert rows
        assert {row["bucket"] % seconds for row in rows} == {0}
        assert all(isinstance(row["bucket"], int) and isinstance(row["events"], int) for row in rows)
        assert sum(row["events"] for row in rows) == ranking(recorded, f"orchestrator={OWN}")[0]["events"]

    @pytest.mark.parametrize("job", ["", f"&{AI_JOB}"])
    def test_a_bucket_is_what_aggregated_stats_has_of_its_time(self, recorded: FlaskClient, job: str) -> None:
        rows = history(recorded, f"orchestrator={OWN.upper()}&interval=7d{job}")
        middle = sorted({row["bucket"] for row in rows})[2]
        window = f"since={middle}&until={middle + 7 * DAY - 0.000001}"
        expected = recorded.get(f"/api/aggregated_stats?{window}{job}").json[OWN]
        found = {row["region"]: row for row in rows if row["bucket"] == middle}
        assert found.keys() == expected.keys()
        for region, row in found.items():
            assert [row[field] for field in SCORES] == pytest.approx(
                [expected[region][field] for field in SCORES], abs=1e-9
            )
            assert ("median_round_trip_time" in row) == bool(job)

    def test_several_orchestrators_may_be_named_in_two_ways(self, recorded: FlaskClient) -> None:
        rows = history(recorded, f"orchestrator={OWN}&orchestrator={OTHER}&region=fra")
        assert {(row["orchestrator"], row["region"]) for row in rows} == {(OWN, "FRA"), (OTHER, "FRA")}
        assert history(recorded, f"orchestrator={OTHER},{OWN}&region=FRA") == rows

    def test_without_an_orchestrator_it_is_the_networks(self, recorded: FlaskClient) -> None:
        rows = history(recorded, "interval=1d&region=FRA")
        assert "orchestrator" not in rows[0]
        assert len({row["bucket"] for row in rows}) == len(rows)
        everyone = sum(row["events"] for row in ranking(recorded, "region=FRA"))
        assert sum(row["events"] for row in rows) == everyone

    def test_a_pipeline_alone_gives_each_of_its_models(self, recorded: FlaskClient) -> None:
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
    def test_the_interval_is_chosen_by_the_window(self, recorded: FlaskClient, window: str, interval: str) -> None:
        assert recorded.get(f"/api/score_history?{window}").json["interval"] == interval

    def test_what_is_nowhere_is_empty(self, recorded: FlaskClient) -> None:
        assert history(recorded, "region=NOWHERE") == []
        assert history(recorded, "orchestrator=0xnobody") == []

    def test_too_many_rows_are_a_400_that_says_what_to_do(
        self, recorded: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(table_responses, "HISTORY_ROWS", 10)
        told = sentence(recorded, f"score_history?{ALL}&interval=6h")
        assert told.startswith("interval 6h gives")
        assert "10 at most" in told

    @pytest.mark.parametrize(
        ("query", "beginning"),
        [
            ("interval=2d", "interval must be one of 1h, 6h, 1d, 7d, not '2d'"),
            ("model=m", "pipeline required"),
            ("job_type=x", "job_type must be"),
            ("orchestrator=" + ",".join(map(str, range(101))), "orchestrator may be given 100 times, not 101"),
        ],
    )
    def test_what_cannot_be_asked_is_named(self, recorded: FlaskClient, query: str, beginning: str) -> None:
        assert sentence(recorded, f"score_history?{query}").startswith(beginning)


class TestRanking:
    def test_scores_are_the_means_over_the_regions_of_aggregated_stats(self, recorded: FlaskClient) -> None:
        regions = recorded.get(f"/api/aggregated_stats?{ALL}").json
        rows = ranking(recorded, "")
        assert {row["orchestrator"] for row in rows} == regions.keys()
        for row in rows:
            parts = list(regions[row["orchestrator"]].values())
            assert row["regions"] == len(parts)
            for field in SCORES:
                assert row[field] == pytest.approx(sum(part[field] for part in parts) / len(parts), abs=1e-9)
            assert row["succeeded"] + row["failed"] == row["events"]
            assert 0 <= row["success_ci_low"] < row["success_ci_high"] <= 1
            assert isinstance(row["last_seen"], int)
        assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)

    @pytest.mark.parametrize("sort", ["score", "events", "p95_round_trip_time", "last_seen", "orchestrator", "failed"])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_pages_make_up_the_whole(self, recorded: FlaskClient, sort: str, order: str) -> None:
        query = f"sort={sort}&order={order}"
        whole = ranking(recorded, query)
        values = [row[sort] for row in whole]
        assert values == sorted(values, reverse=order == "desc")
        pages, path = [], f"/api/leaderboard?{ALL}&{query}&limit=3"
        while path:
            response = recorded.get(path)
            pages.append(response.json["leaderboard"])
            assert response.json["total"] == len(whole)
            link = response.headers.get("Link", "")
            assert ("next" in response.json) == bool(link)
            assert f"cursor={response.json.get('next', '')}" in link or not link
            path = link.partition(">")[0].removeprefix("<")
        assert [len(page) for page in pages[:-1]] == [3] * (len(pages) - 1)
        assert [row["orchestrator"] for page in pages for row in page] == [row["orchestrator"] for row in whole]

    @pytest.mark.parametrize(
        ("sort", "descending"), [("score", True), ("rank", False), ("p50_round_trip_time", False), ("events", True)]
    )
    def test_the_best_come_first(self, recorded: FlaskClient, sort: str, descending: bool) -> None:
        values = [row[sort] for row in ranking(recorded, f"sort={sort}")]
        assert values == sorted(values, reverse=descending)

    def test_a_rank_is_the_scores_whatever_it_is_sorted_by(self, recorded: FlaskClient) -> None:
        ranks = {row["orchestrator"]: row["rank"] for row in ranking(recorded, "")}
        assert {row["orchestrator"]: row["rank"] for row in ranking(recorded, "sort=events")} == ranks

    def test_who_was_seldom_tested_may_be_left_out(self, recorded: FlaskClient) -> None:
        rows = ranking(recorded, "")
        least = sorted(row["events"] for row in rows)[3]
        found = ranking(recorded, f"min_events={least}")
        assert len(found) == sum(row["events"] >= least for row in rows) < len(rows)
        assert found[0]["rank"] == 1

    @pytest.mark.parametrize("query", [AI_JOB, f"pipeline={quote(PIPELINE)}", "job_type=ai", f"{AI_JOB}&region=fra"])
    def test_ai_jobs_of_one_model_one_pipeline_or_all_are_ranked(self, recorded: FlaskClient, query: str) -> None:
        rows = ranking(recorded, query)
        assert rows
        assert all(0 <= row["score"] <= 1 for row in rows)

    def test_more_jobs_are_more_events(self, recorded: FlaskClient) -> None:
        model, pipeline, every = (
            sum(row["events"] for row in ranking(recorded, query))
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
            ("cursor=x", "cursor must be the next of an answer"),
            ("cursor=%F0%9F%98%80", "cursor must be the next of an answer"),
            ("cursor=WzFd", "cursor must be the next of an answer"),
            ("model=m", "pipeline required"),
            ("job_type=x", "job_type must be"),
        ],
    )
    def test_what_cannot_be_asked_is_named(self, recorded: FlaskClient, query: str, beginning: str) -> None:
        assert sentence(recorded, f"leaderboard?{query}").startswith(beginning)

    @pytest.mark.parametrize("change", ["sort=events", "region=FRA", "min_events=3", "order=asc", "job_type=ai"])
    def test_a_cursor_belongs_to_its_question(self, recorded: FlaskClient, change: str) -> None:
        cursor = recorded.get(f"/api/leaderboard?{ALL}&limit=2").json["next"]
        assert recorded.get(f"/api/leaderboard?{ALL}&limit=5&cursor={cursor}").status_code == 200
        told = sentence(recorded, f"leaderboard?{ALL}&limit=2&{change}&cursor={cursor}")
        assert told == "cursor must come with the other parameters of the answer that gave it"


def result(seconds: float, address: str, **payload: Any) -> list[Any]:
    measures = {"success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
    return [seconds, address, "FRA", "transcoding", measures | payload]


def test_pages_are_of_one_window_and_what_comes_in_between_moves_none(database: str, client: FlaskClient) -> None:
    now = datetime.now(UTC).timestamp()
    first, second, third, new = ("0x" + letter * 40 for letter in "abcd")
    rates = {first: 0.9, second: 0.6, third: 0.3}
    load_events(database, [result(now - 60, name, success_rate=rate) for name, rate in rates.items()])
    page = client.get("/api/leaderboard?limit=1").json
    assert [row["orchestrator"] for row in page["leaderboard"]] == [first]
    # one that would be the last, and one that would change the second
    later = datetime.now(UTC).timestamp()
    load_events(database, [result(later, new, success_rate=0.1), result(later, second, success_rate=0)])
    assert len(client.get("/api/leaderboard").json["leaderboard"]) == 4
    seen = []
    while "next" in page:
        page = client.get(f"/api/leaderboard?limit=1&cursor={page['next']}").json
        seen += [(row["orchestrator"], row["success_rate"]) for row in page["leaderboard"]]
    assert seen == [(second, 0.6), (third, 0.3)]


class TestGlance:
    ADDRESS = "0x" + "aB" * 20

    @pytest.fixture
    def _events(self, database: str) -> None:
        ai = {"pipeline": "p", "model": "m", "success_rate": 1, "round_trip_time": 2}
        errors = [{"error_code": "NoSession", "message": "none", "count": 3}, {"error_code": "Timeout", "count": 1}]
        load_events(
            database,
            [
                result(1000, self.ADDRESS),
                result(2000, self.ADDRESS, success_rate=0, errors=errors),
                result(3000, "0x" + "c" * 40),
                [4000, self.ADDRESS, "LAX", "ai", ai],
                [5000, self.ADDRESS, "LAX", "ai", ai | {"success_rate": 0.5, "errors": errors[1:]}],
            ],
        )

    @pytest.mark.usefixtures("_events")
    @pytest.mark.parametrize("spelled", [ADDRESS, ADDRESS.lower(), "0x" + "AB" * 20])
    def test_all_that_is_known_of_it_is_told(self, client: FlaskClient, spelled: str) -> None:
        found = client.get(f"/api/orchestrators/{spelled}?since=0&until=9000").json
        assert found["orchestrator"] == self.ADDRESS.lower()
        assert (found["job_types"], found["regions"]) == (["ai", "transcoding"], ["FRA", "LAX"])
        assert found["pipelines"] == [{"id": "p", "models": ["m"]}]
        ai, transcoding = found["jobs"]
        assert (ai["region"], ai["pipeline"], ai["model"], ai["rank"], ai["ranked_count"]) == ("LAX", "p", "m", 1, 1)
        assert ai["errors"] == [{"error_code": "Timeout", "results": 1, "count": 1, "share": 1.0, "last_seen": 5000}]
        assert (ai["median_round_trip_time"], ai["round_trip_time"]) == (2.0, 2.0)
        assert (transcoding["rank"], transcoding["ranked_count"], transcoding["success_rate"]) == (2, 2, 0.5)
        assert (transcoding["last_success"], transcoding["last_failure"]) == (1000, 2000)
        assert [(error["error_code"], error["count"], error["share"]) for error in transcoding["errors"]] == [
            ("NoSession", 3, 0.75),
            ("Timeout", 1, 0.25),
        ]
        assert not {"pipeline", "model", "median_round_trip_time"} & transcoding.keys()

    @pytest.mark.usefixtures("_events")
    def test_what_has_not_happened_is_absent(self, client: FlaskClient) -> None:
        (job,) = client.get(f"/api/orchestrators/{self.ADDRESS}?since=0&until=1500").json["jobs"]
        assert "last_failure" not in job
        assert job["errors"] == []

    def test_an_orchestrator_that_was_not_tested_has_empty_lists(self, client: FlaskClient) -> None:
        response = client.get(f"/api/orchestrators/{self.ADDRESS}")
        assert response.status_code == 200
        empty = {name: [] for name in ("job_types", "regions", "pipelines", "jobs")}
        assert response.json == {"orchestrator": self.ADDRESS.lower()} | empty

    def test_two_that_were_not_tested_are_two_answers(self, client: FlaskClient) -> None:
        paths = (f"/api/orchestrators/0x{letter * 40}" for letter in "ab")
        assert len({client.get(path).headers["ETag"] for path in paths}) == 2

    @pytest.mark.parametrize("address", ["0x1", "b" * 40, "0x" + "g" * 40])
    def test_what_is_no_address_is_told(self, client: FlaskClient, address: str) -> None:
        assert sentence(client, f"orchestrators/{address}").startswith("orchestrator must be an address")

    def test_scores_are_those_of_aggregated_stats(self, recorded: FlaskClient) -> None:
        jobs = recorded.get(f"/api/orchestrators/{OWN}?{ALL}").json["jobs"]
        for job in jobs:
            model = f"&pipeline={quote(job['pipeline'])}&model={quote(job['model'])}" if "model" in job else ""
            scores = recorded.get(f"/api/aggregated_stats?{ALL}{model}").json
            there = {name: regions[job["region"]] for name, regions in scores.items() if job["region"] in regions}
            assert [job[field] for field in SCORES] == pytest.approx([there[OWN][field] for field in SCORES], abs=1e-9)
            assert job["ranked_count"] == len(there)
            assert job["rank"] == 1 + sum(other["score"] > job["score"] + 1e-12 for other in there.values())
