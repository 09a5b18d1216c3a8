"""Formulas over HTTP: which one scores, and what it makes of results as today's testers post them."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from leaderboard.settings import Settings, SettingsError
from queries import FORMULA_1, FORMULAS
from tests.conftest import DATA
from tests.support.endpoints import ADDRESS, AI_JOB
from tests.support.serving import serving

GOOD, BAD, CAPPED, UNSCORED = (f"0x{digit * 40}" for digit in "abcd")
LIVE = json.loads((DATA / "result-live-passed.json").read_text())
TRANSCODING_JOB = json.loads((DATA / "result-transcoding.json").read_text())
SAMPLES = sorted(DATA.glob("result-*.json"))


@pytest.fixture
def posted(post: Any, client: FlaskClient) -> FlaskClient:
    """A good, a bad and an unscored live stream, and two transcoding jobs, of which one met a busy orchestrator."""
    unscored = json.loads((DATA / "result-live-unscored.json").read_text())
    busy = {"success_rate": 0, "round_trip_time": 0, "errors": [{"error_code": "OrchestratorCapped", "count": 1}]}
    for body in (
        LIVE | {"orchestrator": GOOD, "round_trip_time": 0.9},
        LIVE | {"orchestrator": BAD, "round_trip_time": 0.3},
        unscored | {"orchestrator": UNSCORED},
        TRANSCODING_JOB | {"orchestrator": CAPPED},
        TRANSCODING_JOB | {"orchestrator": CAPPED} | busy,
    ):
        assert post(body).status_code == 200
    return client


def live_ranking(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"/api/leaderboard?pipeline=live-video-to-video&model={LIVE['model']}{query}")
    assert response.status_code == 200
    return response.json["leaderboard"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_stored_by_a_fresh_install(post: Any, sample: Any) -> None:
    response = post(json.loads(sample.read_text()))
    assert (response.status_code, response.data) == (200, b"ok")


def test_better_stream_ranks_first(posted: FlaskClient) -> None:
    rows = live_ranking(posted)
    assert [(row["orchestrator"], row.get("rank"), row["unscored"]) for row in rows] == [
        (GOOD, 1, 0),
        (BAD, 2, 0),
        (UNSCORED, None, 1),
    ]
    assert rows[0]["round_trip_score"] == pytest.approx(0.9, abs=1e-9)
    assert [row["orchestrator"] for row in live_ranking(posted, "&formula=1")] == [BAD, GOOD, UNSCORED]


def test_unscored_orchestrator_is_absent_from_scores(posted: FlaskClient) -> None:
    query = f"/api/aggregated_stats?pipeline=Live%20video%20to%20video&model={LIVE['model']}"
    assert posted.get(query).json.keys() == {GOOD, BAD}
    assert posted.get(f"{query}&formula=1").json == {}
    assert posted.get(f"{query.replace('Live%20video%20to%20video', 'live-video-to-video')}&formula=1").json.keys() == {
        GOOD,
        BAD,
        UNSCORED,
    }


def test_orchestrator_says_what_was_not_scored(posted: FlaskClient) -> None:
    (job,) = posted.get(f"/api/orchestrators/{UNSCORED}").json["jobs"]
    assert (job["events"], job["succeeded"], job["failed"], job["unscored"]) == (0, 0, 0, 1)
    assert not {"rank", "score", "success_rate"} & job.keys()
    assert posted.get(f"/api/orchestrators/0x{'e' * 40}").json["jobs"] == []


def test_orchestrator_by_warm_models_has_their_errors_only(post: Any, client: FlaskClient) -> None:
    for name in ("result-ai-batch-2026", "result-ai-transport-error"):
        assert post(json.loads((DATA / f"{name}.json").read_text()) | {"orchestrator": GOOD}).status_code == 200
    for warm, error in (("true", "503"), ("false", "connection refused")):
        (job,) = client.get(f"/api/orchestrators/{GOOD}?warm={warm}").json["jobs"]
        assert [error in found["error_code"] for found in job["errors"]] == [True]


def test_busy_orchestrator_is_not_blamed_if_asked(posted: FlaskClient) -> None:
    def success(query: str) -> float:
        return posted.get(f"/api/aggregated_stats{query}").json[CAPPED]["MDW"]["success_rate"]

    assert success("") == pytest.approx(0.5, abs=1e-9)
    assert success("?busy=ignore") == pytest.approx(1.0, abs=1e-9)
    assert success("?busy=ignore&formula=1") == pytest.approx(1.0, abs=1e-9)


def test_history_counts_unscored_results(posted: FlaskClient) -> None:
    history = posted.get(f"/api/score_history?job_type=ai&orchestrator={UNSCORED}").json["history"]
    assert [(row["events"], row["unscored"]) for row in history] == [(0, 1)]
    assert "score" not in history[0]


def test_pipelines_are_listed_by_their_newest_spelling(post: Any, client: FlaskClient) -> None:
    for spelling in ("text to image", "Text_to_image", "text-to-image"):
        assert (
            post(
                AI_JOB
                | {
                    "pipeline": spelling,
                    "region": "MDW",
                    "orchestrator": ADDRESS,
                    "success_rate": 1,
                    "round_trip_time": 1,
                }
            ).status_code
            == 200
        )
    assert [pipeline["id"] for pipeline in client.get("/api/pipelines").json["pipelines"]] == ["text-to-image"]
    for spelling in ("TEXT TO IMAGE", "text-to-image"):
        results = client.get(
            f"/api/raw_stats?orchestrator={ADDRESS}&pipeline={quote(spelling)}&model={AI_JOB['model']}"
        ).json
        assert len(results["MDW"]) == 3


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("formula=3", "formula must be one of 1, 2, not '3'"),
        ("busy=yes", "busy must be ignore, not 'yes'"),
        ("warm=1", "warm must be one of true, false, not '1'"),
    ],
)
@pytest.mark.parametrize("path", ["aggregated_stats", "leaderboard", "score_history", f"orchestrators/{GOOD}"])
def test_wrong_parameters_are_named(client: FlaskClient, path: str, query: str, error: str) -> None:
    response = client.get(f"/api/{path}?{query}")
    assert (response.status_code, response.json) == (400, {"error": error})


def test_formulas_are_described(client: FlaskClient) -> None:
    document = client.get("/api/formulas").json
    assert document["default"] == 2
    assert [formula["number"] for formula in document["formulas"]] == [*FORMULAS]
    assert document["formulas"][1]["values"]["success_weight"] == 0.65
    assert "live-video-to-video" not in document["formulas"][0]["scores"]
    assert len(document["formulas"][1]["rules"]) > len(document["formulas"][0]["rules"]) == 0


def test_setting_chooses_the_default(database: str) -> None:
    assert Settings.load({"FORMULA": "1"}).formula == FORMULA_1
    with pytest.raises(SettingsError, match="FORMULA must be one of 1, 2, not '0'"):
        Settings.load({"FORMULA": "0"})
    with serving(Settings(lake_sync_interval=0, postgres=database, formula=FORMULA_1)) as client:
        assert client.get("/api/formulas").json["default"] == 1
