"""``leaderboard exclusions``."""

import json
import os
import pwd
import socket

import pytest
from flask.testing import FlaskClient

from tests.conftest import rows
from tests.leaderboard.cli.conftest import RunCommand

SPAN = ("--since", "2026-09-01", "--until", "2026-09-02T12:00:00Z")
ADD = ("exclusions", "add", "--region", "fra", *SPAN, "--reason", "the tester's disk was full")
STORED = "SELECT region, job_type, since::text, until::text, reason, added_by, removed_by FROM exclusions ORDER BY id"


@pytest.fixture(autouse=True)
def _utc(database: str) -> None:
    rows(database, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''UTC''', current_database()); END $$")


def listed(run: RunCommand, *options: str) -> list[dict[str, object]]:
    return json.loads(run("exclusions", "list", "--json", *options).stdout)["exclusions"]


def test_exclusion_is_stored_with_who_added_it(run: RunCommand, database: str) -> None:
    result = run(*ADD)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "exclusion 1 added\n")
    me = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
    span = ("2026-09-01 00:00:00+00", "2026-09-02 12:00:00+00")
    assert rows(database, STORED) == [("FRA", None, *span, "the tester's disk was full", me, None)]


def test_exclusion_may_be_of_one_job_type_and_by_somebody_else(run: RunCommand, database: str) -> None:
    run(*ADD, "--job-type", "ai", "--by", " Ann ")
    assert rows(database, "SELECT job_type, added_by FROM exclusions") == [("ai", "Ann")]


def test_removed_exclusion_stays_in_the_whole_list(run: RunCommand) -> None:
    run(*ADD, "--by", "Ann")
    run(*ADD, "--by", "Ann")
    result = run("exclusions", "remove", "1", "--by", "Bob")
    assert (result.exit_code, result.stderr) == (0, "exclusion 1 removed\n")
    assert [row["id"] for row in listed(run)] == [2]
    first, second = listed(run, "--all")
    assert (first["removed_by"], "removed_by" in second) == ("Bob", False)
    assert first["removed_at"] >= first["added_at"]
    again = run("exclusions", "remove", "1")
    assert again.exit_code == 1
    assert "there is no exclusion 1 that counts" in again.stderr


def test_list_is_a_table(run: RunCommand) -> None:
    assert run("exclusions", "list").stderr == "nothing is left out\n"
    run(*ADD, "--by", "Ann")
    heading, row = run("exclusions", "list", COLUMNS="300").stdout.splitlines()
    assert heading.split() == ["id", "region", "job", "type", "since", "until", "reason", "added", "removed"]
    assert row.split()[:5] == ["1", "FRA", "both", "2026-09-01T00:00:00Z", "2026-09-02T12:00:00Z"]
    assert "the tester's disk was full" in row
    assert "by Ann" in row


def test_json_is_that_of_the_http_api(run: RunCommand, client: FlaskClient) -> None:
    run(*ADD)
    client.application.extensions["leaderboard"].exclusions.load()
    assert listed(run) == client.get("/api/exclusions").json["exclusions"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--region", "nowhere"), "Invalid value for --region: 'NOWHERE' is not registered; there are ASH, ATL"),
        (("--region", "TOR", "--job-type", "ai"), "Invalid value for --region: 'TOR' is not registered"),
        (("--until", "2026-09-01"), "--until must be later than --since"),
        (("--since", "yesterday"), "Invalid value for '--since': must be unix seconds"),
        (("--reason", " "), "Invalid value for '--reason': must be one line of 1 to 500 printable characters"),
        (("--reason", "a\x1b[2J"), "Invalid value for '--reason': must be one line"),
        (("--by", "x" * 501), "Invalid value for '--by': must be one line"),
    ],
)
def test_bad_option_is_named(run: RunCommand, database: str, options: tuple[str, ...], sentence: str) -> None:
    result = run(*ADD, *options)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())
    assert rows(database, STORED) == []
