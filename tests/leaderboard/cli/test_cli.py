"""The command line, as a person and as a script use it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from leaderboard.cli import main
from leaderboard.settings import describe_settings
from tests.conftest import NEWEST, SECRET, load_events, rows, sample
from tests.support.commands import run_leaderboard
from tests.support.service import RunningService

pytestmark = pytest.mark.slow

ADDRESS = "0x" + "a" * 40
RESULT = {"region": "FRA", "orchestrator": ADDRESS, "success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(database: str) -> Run:
    """Runs the command with the test's database."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"POSTGRES": database, "SECRET": SECRET, "COLUMNS": "80"} | variables
        return run_leaderboard(*arguments, stdin=stdin, **settings)

    return run


@pytest.fixture
def service(database: str) -> Iterator[RunningService]:
    with RunningService({"POSTGRES": database}) as service:
        yield service


def test_the_help_tells_every_setting_and_command(run: Run) -> None:
    shown = run("--help").stdout
    for name, _, _ in describe_settings():
        assert name in shown
    for name in main.commands:
        assert name in shown


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_help(name: str) -> None:
    whole = main.commands[name]
    assert whole.help
    subcommands = whole.commands.values() if isinstance(whole, click.Group) else [whole]
    for subcommand in subcommands:
        assert subcommand.help
        assert all(option.help for option in subcommand.params if isinstance(option, click.Option))


def test_a_setting_that_cannot_be_read_is_one_line(run: Run) -> None:
    done = run("migrate", "status", DB_TIMEOUT="x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: DB_TIMEOUT must be a number, not 'x'\n"


class TestMigrate:
    def test_the_version_is_told(self, run: Run) -> None:
        done = run("migrate", "status")
        assert (done.returncode, done.stdout) == (0, f"version: {NEWEST}\n")

    def test_steps_are_taken_and_told(self, run: Run, database: str) -> None:
        assert run("migrate", "goto", "2").stdout == "version: 2\n"
        assert run("migrate", "down", "1").stdout == "version: 1\n"
        status = run("migrate", "status")
        assert status.stdout.startswith("version: 1\npending: 2_regions\npending: 3_old_region_tables\n")
        assert run("migrate", "goto", "2").stdout == "version: 2\n"
        assert run("migrate", "up").stdout == f"version: {NEWEST}\n"
        assert rows(database, "SELECT count(*) FROM regions") == [(26,)]

    def test_a_dirty_database_is_told_refused_and_forced(self, run: Run, database: str) -> None:
        rows(database, "UPDATE schema_migrations SET version = 3, dirty = true")
        assert run("migrate", "status").stdout == (
            "version: 3 (dirty)\npending: 4_orchestrator_time_index\npending: 5_pruned_before\n"
        )
        for refused in (("up",), ("down", "1"), ("goto", "1")):
            done = run("migrate", *refused)
            assert (done.returncode, done.stdout) == (1, "")
            assert "dirty at version 3" in done.stderr
            assert "Traceback" not in done.stderr
        assert run("migrate", "force", "3").stdout.startswith("version: 3\n")
        assert run("migrate", "up").returncode == 0

    @pytest.mark.parametrize("arguments", [("goto", "9"), ("goto", "x"), ("down", "0"), ("down",), ("force", "-5")])
    def test_a_step_that_is_none_is_refused(self, run: Run, arguments: tuple[str, ...]) -> None:
        done = run("migrate", *arguments)
        assert done.returncode != 0
        assert "Error:" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_database_that_is_away_is_one_line(self, run: Run) -> None:
        done = run("migrate", "status", POSTGRES="postgresql://u:hush@127.0.0.1:1/x")
        assert done.returncode == 75
        assert len(done.stderr.splitlines()) == 1
        assert "hush" not in done.stderr


class TestPost:
    def test_one_object_over_several_lines_is_one_result(
        self, run: Run, service: RunningService, tmp_path: Path
    ) -> None:
        file = tmp_path / "result.json"
        file.write_text(json.dumps(RESULT, indent=2))
        done = run("post", str(file), "--url", f"http://127.0.0.1:{service.port}")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "1 posted, 0 refused\n")

    def test_lines_are_results(self, run: Run, service: RunningService, database: str) -> None:
        results = [result for results in sample("raw-transcoding-2021-09-25.json").values() for result in results]
        lines = "\n\n".join(json.dumps(result) for result in results)
        done = run("post", "-", "--url", f"http://127.0.0.1:{service.port}/", stdin=lines)
        assert (done.returncode, done.stderr) == (0, "21 posted, 0 refused\n")
        assert [payload for (payload,) in rows(database, "SELECT payload FROM events ORDER BY id")] == results

    def test_what_is_refused_is_named_and_the_rest_is_posted(
        self, run: Run, service: RunningService, database: str
    ) -> None:
        lines = "\n".join(["nonsense", json.dumps(RESULT), json.dumps(RESULT | {"region": "XXX"}), json.dumps(RESULT)])
        done = run("post", "-", "--url", f"http://127.0.0.1:{service.port}", stdin=lines)
        assert done.returncode == 1
        first, second, summary = done.stderr.splitlines()
        assert first.startswith("line 1: the body must be a JSON object")
        assert second.startswith("line 3: region 'XXX' is not registered")
        assert summary == "2 posted, 2 refused"
        assert len(rows(database, "SELECT * FROM events")) == 2

    def test_the_wrong_secret_is_refused(self, run: Run, service: RunningService) -> None:
        done = run("post", "-", "--url", f"http://127.0.0.1:{service.port}", stdin=json.dumps(RESULT), SECRET="other")
        assert done.returncode == 1
        assert "Authorization" in done.stderr

    def test_without_a_secret_nothing_is_posted(self, run: Run) -> None:
        done = run("post", "-", stdin=json.dumps(RESULT), SECRET="")
        assert (done.returncode, done.stderr) == (1, "Error: SECRET is not set; it is needed to sign results\n")

    def test_unavailable_service_exits_with_75_and_says_what_is_left(self, run: Run) -> None:
        options = ("--url", "http://127.0.0.1:1", "--retry-seconds", "0")
        done = run("post", "-", *options, stdin=json.dumps(RESULT))
        assert done.returncode == 75
        assert done.stderr.splitlines() == [
            "0 posted, 0 refused",
            "line 1 and after were not posted; run again with --from-line 1",
            "Error: http://127.0.0.1:1 is unavailable: Connection refused",
        ]

    def test_nothing_to_post_is_a_failure(self, run: Run) -> None:
        done = run("post", "-")
        assert (done.returncode, done.stderr) == (1, "0 posted, 0 refused\n")

    def test_a_file_that_is_not_there_is_one_line(self, run: Run) -> None:
        done = run("post", "/nowhere.json")
        assert done.returncode == 2
        assert "No such file" in done.stderr


class TestScores:
    @pytest.fixture(autouse=True)
    def _events(self, database: str) -> None:
        measures: dict[str, Any] = {"success_rate": 0.5, "round_trip_time": 1, "seg_duration": 2}
        job = {"pipeline": "Text to image", "model": "m"}
        load_events(
            database,
            [
                [1790000000, ADDRESS, "FRA", "transcoding", measures],
                [1790000000, ADDRESS, "MDW", "transcoding", measures],
                [1790000000, ADDRESS, "FRA", "ai", measures | job],
            ],
        )

    def test_the_table_is_readable_and_fits_80_columns(self, run: Run) -> None:
        done = run("scores", "--since", "1790000000", "--until", "2026-12-31T00:00:00Z")
        assert done.returncode == 0
        lines = done.stdout.splitlines()
        assert all(len(line.rstrip()) <= 80 for line in lines)
        assert [line.split() for line in lines[2:]] == [
            [ADDRESS, "FRA", "0.5000", "0.8647", "0.4323"],
            [ADDRESS, "MDW", "0.5000", "0.8647", "0.4323"],
        ]

    def test_json_is_the_answer_of_the_http_interface(self, run: Run, service: RunningService) -> None:
        done = run("scores", "--since", "1790000000", "--region", "fra", "--json")
        assert json.loads(done.stdout) == service.get("/api/aggregated_stats?since=1790000000&region=fra").json

    def test_ai_scores_need_pipeline_and_model(self, run: Run) -> None:
        done = run("scores", "--since", "0", "--pipeline", "Text to image", "--model", "m", "--json")
        assert json.loads(done.stdout) == {
            ADDRESS: {"FRA": {"success_rate": 0.5, "round_trip_score": 0, "score": 0.325}}
        }
        assert run("scores", "--pipeline", "x").returncode == 2

    def test_an_empty_window_says_so_and_leaves_stdout_clean(self, run: Run) -> None:
        done = run("scores", "--until", "5")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "no results in this window\n")
        assert run("scores", "--until", "5", "--json").stdout == "{}\n"

    def test_a_moment_that_is_none_is_named(self, run: Run) -> None:
        done = run("scores", "--since", "yesterday")
        assert done.returncode == 2
        assert "--since" in done.stderr
        assert "must be unix seconds" in done.stderr

    def test_a_database_that_is_away_is_one_line(self, run: Run) -> None:
        done = run("scores", POSTGRES="postgresql://127.0.0.1:1/x")
        assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)

    def test_a_database_that_is_not_there_yet_has_no_results(self, run: Run, empty_database: str) -> None:
        done = run("scores", POSTGRES=empty_database, LOG_LEVEL="ERROR")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "no results in this window\n")


class TestSimulate:
    def test_results_are_stored_and_scored(self, run: Run, database: str) -> None:
        done = run("simulate", "2000", "--days", "2", "--until", "2026-09-01T00:00:00Z")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "2,000 results stored\n")
        stored = rows(
            database, "SELECT count(*), min(event_time) >= '2026-08-30Z', max(event_time) <= '2026-09-01Z' FROM events"
        )
        assert stored == [(2000, True, True)]
        scored = run("scores", "--since", "2026-08-30T00:00:00Z", "--until", "2026-09-01T00:00:00Z", "--json")
        assert len(json.loads(scored.stdout)) == 100

    def test_the_same_lines_come_out_as_go_into_the_database(self, run: Run, database: str) -> None:
        options = ("simulate", "50", "--until", "1790000000", "--seed", "3")
        run(*options)
        done = run(*options, "--ndjson", POSTGRES="postgresql://127.0.0.1:1/nothing")
        assert done.stderr == ""
        stored = [payload for (payload,) in rows(database, "SELECT payload FROM events ORDER BY id")]
        assert [json.loads(line) for line in done.stdout.splitlines()] == stored

    def test_results_are_not_mixed_into_others_unasked(self, run: Run, database: str) -> None:
        run("simulate", "10")
        done = run("simulate", "10")
        assert (done.returncode, done.stderr) == (
            1,
            "Error: the database already holds 10 results; --append adds to them\n",
        )
        assert run("simulate", "10", "--append").returncode == 0
        assert rows(database, "SELECT count(*) FROM events") == [(20,)]

    def test_a_time_before_all_times_is_refused(self, run: Run) -> None:
        done = run("simulate", "1", "--until", "0001-01-01T00:00:00Z")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

    def test_a_region_that_is_not_there_stores_nothing_of_its_batch(self, run: Run, database: str) -> None:
        rows(database, "DELETE FROM regions WHERE name = 'FRA'")
        done = run("simulate", "1000")
        assert done.returncode == 1
        assert "region 'FRA' is not registered" in done.stderr
        assert "Traceback" not in done.stderr
        assert rows(database, "SELECT * FROM events") == []
