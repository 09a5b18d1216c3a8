"""``leaderboard regions``."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.postgres.pool import Database
from leaderboard.regions.administration import add_region
from tests.conftest import rows, sample
from tests.leaderboard.cli.conftest import RunCommand
from tests.leaderboard.results.test_posting import ADDRESS, AI_JOB, good
from tests.support.postgres import StoppablePostgres
from tests.support.standby import Standby
from tests.support.waiting import eventually

Post = Callable[..., Any]
SEEDED = sample("regions-seed.json")
AI = ("--job-type", "ai")


def listed(run: RunCommand) -> dict[str, Any]:
    result = run("regions", "list", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_list_is_that_of_the_http_api(run: RunCommand, client: FlaskClient, post: Post) -> None:
    assert listed(run) == client.get("/api/regions").json | {"refused_regions": []}
    assert run("regions", "retire", "MDW", *AI).exit_code == 0
    (retired,) = [region for region in listed(run)["regions"] if "retired_at" in region]
    assert (retired["id"], retired["type"]) == ("MDW", "ai")
    # a post of another region has the service read the table again
    assert post(good(region="MDW", **AI_JOB)).status_code == 400
    assert client.get("/api/regions").json["regions"] == listed(run)["regions"]


def test_list_is_a_table_with_the_refused_posts(run: RunCommand, post: Post, client: FlaskClient) -> None:
    run("regions", "retire", "FRA", *AI)
    for code in ("jnb", "jnb", "fra"):
        assert post(good(region=code, **AI_JOB)).status_code == 400
    client.application.extensions["leaderboard"].close()
    lines = [line.split() for line in run("regions", "list").stdout.splitlines()]
    assert len(lines) == 1 + len(SEEDED) + 1
    assert lines[1] == ["GLOBAL", "Global", "transcoding", "active"]
    (frankfurt,) = [line for line in lines if line[:3] == ["FRA", "Frankfurt", "ai"]]
    assert (frankfurt[3], frankfurt[5]) == ("retired", "1")
    assert lines[-1][:5] == ["JNB", "ai", "not", "registered", "2"]


def test_added_region_takes_results_at_once(run: RunCommand, post: Post) -> None:
    assert post(good(region="JNB", **AI_JOB)).status_code == 400
    result = run("regions", "add", "jnb", "Johannesburg", *AI)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "JNB (Johannesburg) is registered for ai results\n"
    eventually(lambda: post(good(region="JNB", **AI_JOB)).status_code == 200)
    assert post(good(region="JNB")).status_code == 400
    assert listed(run)["regions"] == [*SEEDED, {"id": "JNB", "name": "Johannesburg", "type": "ai"}]


def test_region_is_added_once(run: RunCommand) -> None:
    again = run("regions", "add", "FRA", "Frankfurt", *AI)
    assert (again.exit_code, again.stdout) == (0, "FRA (Frankfurt) is registered for ai results already\n")
    other = run("regions", "add", "FRA", "Mainhattan", *AI)
    assert (other.exit_code, other.stdout) == (1, "")
    assert other.stderr == (
        "Error: FRA is registered for ai results already, as Frankfurt; "
        "leaderboard regions rename changes its display name\n"
    )
    assert listed(run)["regions"] == SEEDED


def test_commands_at_the_same_time_add_a_region_once(run: RunCommand, database: str) -> None:
    pool = Database(database, 20, connections=8)
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda _: pool.run(lambda cursor: add_region(cursor, "JNB", "J", "ai")), range(8)))
    pool.close()
    assert sorted(said) == [
        "JNB (J) is registered for ai results",
        *["JNB (J) is registered for ai results already"] * 7,
    ]
    assert len(listed(run)["regions"]) == len(SEEDED) + 1


def test_retired_region_takes_no_results_until_it_is_added_again(
    run: RunCommand, post: Post, client: FlaskClient
) -> None:
    assert post(good(**AI_JOB)).status_code == 200
    retired = run("regions", "retire", "fra", *AI)
    assert (retired.exit_code, retired.stderr) == (0, "")
    assert retired.stdout == "FRA (Frankfurt) takes no more ai results; those that are stored stay\n"
    assert [post(good(**AI_JOB)).status_code, post(good()).status_code] == [400, 200]
    assert run("regions", "retire", "FRA", *AI).stdout.startswith("FRA (Frankfurt) has taken no ai results since 20")
    stored = client.get(f"/api/raw_stats?orchestrator={ADDRESS}&job_type=ai").json
    assert [region for region, results in stored.items() if results] == ["FRA"]
    back = run("regions", "add", "FRA", "Frankfurt am Main", *AI)
    assert back.stdout == "FRA (Frankfurt am Main) takes ai results again\n"
    eventually(lambda: post(good(**AI_JOB)).status_code == 200)
    assert listed(run)["refused_regions"] == []


def test_refused_posts_are_forgotten_when_the_region_is_added(
    run: RunCommand, post: Post, client: FlaskClient, database: str
) -> None:
    run("regions", "retire", "FRA", *AI)
    for code in ("FRA", "JNB"):
        assert post(good(region=code, **AI_JOB)).status_code == 400
    client.application.extensions["leaderboard"].close()
    assert [region["id"] for region in listed(run)["refused_regions"]] == ["FRA", "JNB"]
    run("regions", "add", "FRA", "Frankfurt", *AI)
    run("regions", "add", "JNB", "Johannesburg", *AI)
    assert rows(database, "SELECT * FROM refused_regions") == []


def test_renamed_region_keeps_its_code_and_its_state(run: RunCommand) -> None:
    run("regions", "retire", "LAX", *AI)
    for code in ("FRA", "LAX"):
        result = run("regions", "rename", code, "São Nova", *AI)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith(f"{code} is called São Nova for ai results; before, it was ")
    found = [region for region in listed(run)["regions"] if region["name"] == "São Nova"]
    assert [(region["id"], region["type"], "retired_at" in region) for region in found] == [
        ("FRA", "ai", False),
        ("LAX", "ai", True),
    ]


def test_region_that_was_added_by_hand_in_another_case_is_found(run: RunCommand, database: str) -> None:
    rows(database, "UPDATE regions SET name = 'Fra' WHERE name = 'FRA'")
    assert run("regions", "add", "FRA", "Frankfurt", *AI).stdout.endswith("already\n")
    assert run("regions", "rename", "fra", "Main", *AI).exit_code == 0
    assert run("regions", "retire", "FRA", *AI).exit_code == 0
    (found,) = [region for region in listed(run)["regions"] if region["id"].upper() == "FRA" and region["type"] == "ai"]
    assert (found["id"], found["name"], "retired_at" in found) == ("Fra", "Main", True)


@pytest.mark.parametrize("arguments", [("retire", "XYZ"), ("rename", "XYZ", "Name")])
def test_unknown_region_is_refused_with_those_that_are_registered(run: RunCommand, arguments: tuple[str, ...]) -> None:
    result = run("regions", *arguments, *AI)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: XYZ is not registered for ai results; registered are FRA, GLOBAL, LAX, MDW, NYC, SEA\n"
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("add", "a b", "Name", *AI), "a code has 1 to 56 letters, digits, - and _"),
        (("add", "", "Name", *AI), "a code has"),
        (("add", "x" * 57, "Name", *AI), "a code has"),
        (("add", "JNB", "", *AI), "a display name has 1 to 128 printable characters"),
        (("rename", "FRA", "x" * 129, *AI), "a display name has"),
        (("rename", "FRA", "\x1b[31mred", *AI), "a display name has"),
        (("add", "JNB", "Johannesburg"), "--job-type"),
        (("retire", "FRA", "--job-type", "AI"), "--job-type"),
    ],
)
def test_wrong_usage_changes_nothing(run: RunCommand, arguments: tuple[str, ...], named: str) -> None:
    result = run("regions", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert named in " ".join(result.stderr.split())
    assert listed(run)["regions"] == SEEDED


@pytest.mark.slow
def test_standby_lists_its_regions_and_takes_no_changes(
    run: RunCommand, stoppable_postgres: StoppablePostgres, standby: Standby
) -> None:
    standby.wait_for(stoppable_postgres)
    shown = run("regions", "list", "--json", POSTGRES=standby.url)
    assert (shown.exit_code, json.loads(shown.stdout)["regions"]) == (0, SEEDED)
    for arguments in (("add", "JNB", "Johannesburg"), ("rename", "FRA", "Name"), ("retire", "FRA")):
        result = run("regions", *arguments, *AI, POSTGRES=standby.url)
        assert (result.exit_code, result.stdout) == (75, "")
        assert result.stderr == (
            "Error: the database leaderboard is a standby, which takes no changes; use its primary\n"
        )


def test_foreign_database_is_refused(run: RunCommand, database: str) -> None:
    rows(database, "DROP VIEW event_details; ALTER TABLE events RENAME TO others; ALTER TABLE regions RENAME name TO x")
    result = run("regions", "list")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
