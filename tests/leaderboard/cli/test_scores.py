"""``leaderboard scores``."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events
from tests.leaderboard.cli.conftest import RunCommand

ADDRESS = "0x" + "a" * 40
TIME = 1790000000


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    measures: dict[str, Any] = {"success_rate": 0.5, "round_trip_time": 1, "seg_duration": 2}
    job = {"pipeline": "Text to image", "model": "m"}
    load_events(
        database,
        [
            [TIME, ADDRESS, "FRA", "transcoding", measures],
            [TIME, ADDRESS, "MDW", "transcoding", measures],
            [TIME, ADDRESS, "FRA", "ai", measures | job],
        ],
    )


def test_table_fits_80_columns(run: RunCommand) -> None:
    result = run("scores", "--since", str(TIME), "--until", "2026-12-31T00:00:00Z")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert [line.split() for line in lines[2:]] == [
        [ADDRESS, "FRA", "0.5000", "0.8647", "0.4323"],
        [ADDRESS, "MDW", "0.5000", "0.8647", "0.4323"],
    ]


def test_json_is_that_of_the_http_api(run: RunCommand, client: FlaskClient) -> None:
    result = run("scores", "--since", str(TIME), "--region", "fra", "--json")
    document = json.loads(result.stdout)
    assert list(document) == [ADDRESS]
    assert document == client.get(f"/api/aggregated_stats?since={TIME}&region=fra").json


def test_date_is_its_utc_midnight(run: RunCommand) -> None:
    # the events are of 2026-09-21, 14:13 UTC
    by_date = run("scores", "--since", "2026-09-21", "--until", "2026-09-22", "--json")
    by_moment = run("scores", "--since", "2026-09-21T00:00:00Z", "--until", "2026-09-22T00:00:00Z", "--json")
    assert ADDRESS in by_date.stdout
    assert by_date.stdout == by_moment.stdout
    assert run("scores", "--since", "2026-09-20", "--until", "2026-09-21", "--json").stdout == "{}\n"


def test_ai_scores_need_pipeline_and_model(run: RunCommand) -> None:
    result = run("scores", "--since", "0", "--pipeline", "Text to image", "--model", "m", "--json")
    assert json.loads(result.stdout) == {ADDRESS: {"FRA": {"success_rate": 0.5, "round_trip_score": 0, "score": 0.325}}}
    assert run("scores", "--pipeline", "x").exit_code == 2
    assert run("scores", "--model", "x").exit_code == 2


def test_empty_window_says_so_and_leaves_stdout_empty(run: RunCommand) -> None:
    result = run("scores", "--until", "5")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no scored results in this window\n")
    assert run("scores", "--until", "5", "--json").stdout == "{}\n"


def test_invalid_moment_is_wrong_usage(run: RunCommand) -> None:
    result = run("scores", "--since", "yesterday")
    assert result.exit_code == 2
    assert "--since" in result.stderr
    assert "must be unix seconds" in result.stderr


def test_database_that_does_not_exist_yet_has_no_results(run: RunCommand, empty_database: str) -> None:
    result = run("scores", POSTGRES=empty_database)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no scored results in this window\n")


def test_warm_and_cold_results_are_told_apart(run: RunCommand, database: str) -> None:
    job = {"pipeline": "text-to-image", "model": "m", "success_rate": 1, "round_trip_time": 2}
    results = [job | {"model_is_warm": True}, job | {"model_is_warm": False, "round_trip_time": 4}]
    load_events(database, [[TIME, ADDRESS, "FRA", "ai", result] for result in results])
    arguments = ("scores", "--since", "0", "--pipeline", "Text to image", "--model", "m", "--json")
    # the median of both spellings and of both kinds is 3
    for option, seconds in (("--warm", 2), ("--cold", 4)):
        found = json.loads(run(*arguments, option).stdout)[ADDRESS]["FRA"]
        assert found["round_trip_score"] == pytest.approx(0.8 ** (seconds / 3), abs=1e-9)
    assert run("scores", "--warm").stderr.endswith("--warm and --cold need --pipeline and --model\n")


def test_formula_is_an_option_or_a_setting(run: RunCommand, database: str) -> None:
    unscored = {"pipeline": "live-video-to-video", "model": "m", "test_outcome": "unscored_busy"}
    load_events(database, [[TIME, ADDRESS, "FRA", "ai", unscored]])
    arguments = ("scores", "--since", "0", "--pipeline", "live-video-to-video", "--model", "m", "--json")
    scored = {ADDRESS: {"FRA": {"success_rate": 0, "round_trip_score": 0, "score": 0}}}
    for options, setting, expected in (
        ((), {}, {}),
        (("--formula", "1"), {}, scored),
        ((), {"FORMULA": "1"}, scored),
        (("--formula", "2"), {"FORMULA": "1"}, {}),
    ):
        assert json.loads(run(*arguments, *options, **setting).stdout) == expected
    assert run(*arguments[:-1]).stderr == "no scored results in this window\n"
    assert "'3' is not one of '1', '2'" in run("scores", "--formula", "3").stderr


def test_busy_orchestrators_are_unscored_where_asked_for(run: RunCommand, database: str) -> None:
    busy = {"success_rate": 0, "errors": [{"error_code": "OrchestratorCapped", "count": 1}]}
    load_events(database, [[TIME, ADDRESS, "LAX", "transcoding", busy]])
    for formula in ("1", "2"):
        arguments = ("scores", "--since", "0", "--region", "LAX", "--json", "--formula", formula)
        assert json.loads(run(*arguments).stdout)[ADDRESS]["LAX"]["score"] == 0
        assert json.loads(run(*arguments, "--busy", "ignore").stdout) == {}


def test_excluded_results_count_by_formula_1_alone(run: RunCommand) -> None:
    added = run("exclusions", "add", "--region", "FRA", "--since", "0", "--until", "2030-01-01", "--reason", "a test")
    assert added.exit_code == 0
    for formula, regions in (("1", ["FRA", "MDW"]), ("2", ["MDW"])):
        result = run("scores", "--since", str(TIME), "--formula", formula, "--json")
        assert list(json.loads(result.stdout)[ADDRESS]) == regions
