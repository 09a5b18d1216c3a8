"""What testers and servers send cannot act on the terminal of a person. Files and pipes get data as it is."""

import json
import re

import pytest
from flask import Flask, Response

from tests.conftest import load_events
from tests.leaderboard.cli.conftest import listening
from tests.support.commands import run_leaderboard
from tests.support.service import SECRET
from tests.support.terminal import Terminal

pytestmark = pytest.mark.slow

ADDRESS = "0x" + "a" * 40
EVIL = "\x1b]0;owned\x07\x9b31m\u202eevil"
VISIBLE = "\\x1b]0;owned\\x07\\x9b31m\\u202eevil"
ACTS = re.compile(r"\x1b\]|\x07|\x9b|\u202e|\x1b\[31m")


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    measures = {"success_rate": 0.5, "round_trip_time": 1, "seg_duration": 2, "pipeline": EVIL, "model": EVIL}
    load_events(database, [[1790000000, ADDRESS, "FRA", "ai", measures | {"errors": [{"message": EVIL}]}]])


SQL = "SELECT pipeline, payload->'errors' AS errors FROM events"


@pytest.mark.parametrize(
    "arguments",
    [
        ("sql", SQL),
        ("sql", "--format", "csv", SQL),
        ("sql", "--format", "ndjson", SQL),
        ("sql", f'SELECT 1 AS "{EVIL}"'),
        ("sql", f"SELECT CAST('{EVIL}' AS INTEGER)"),
        ("sql", "SELECT CAST(pipeline AS INTEGER) FROM events"),
        ("export", "events", "--day", "2026-09-21", "--to", "-", "--format", "csv"),
        ("export", "raw", "--day", "2026-09-21", "--to", "-", "--format", "ndjson"),
        ("export", "events", "--day", "2026-09-21", "--to", f"/dev/null/{EVIL}.csv"),
        ("database", EVIL),
        ("scores", "--since", EVIL),
    ],
    ids=lambda arguments: " ".join(arguments)[:40].encode("unicode_escape").decode(),
)
def test_terminal_shows_control_characters_as_text(database: str, arguments: tuple[str, ...]) -> None:
    with Terminal(*arguments, POSTGRES=database, COLUMNS="200") as terminal:
        shown = terminal.read_to_the_end()
    assert not ACTS.search(shown)
    assert "owned" in shown
    assert "evil" in shown


def test_prompt_shows_control_characters_as_text(database: str) -> None:
    with Terminal("sql", POSTGRES=database, COLUMNS="200") as terminal:
        terminal.read_until("sql> ")
        terminal.type("SELECT CAST(pipeline AS INTEGER) FROM events;\n")
        shown = terminal.read_until("evil")
        assert not ACTS.search(shown)
        assert VISIBLE in shown


def test_pipe_gets_the_data_as_it_is(database: str) -> None:
    done = run_leaderboard("sql", "--format", "csv", "SELECT pipeline FROM events", POSTGRES=database)
    assert done.stdout == f"pipeline\n{EVIL}\n"
    done = run_leaderboard("export", "raw", "--day", "2026-09-21", "--to", "-", "--format", "ndjson", POSTGRES=database)
    assert json.loads(done.stdout)["model"] == EVIL


@pytest.mark.parametrize("status", [400, 401, 503])
def test_message_of_a_server_is_shown_as_text(status: int, database: str) -> None:
    app = Flask("evil")
    app.add_url_rule(
        "/api/post_stats", view_func=lambda: Response(json.dumps({"error": EVIL}), status), methods=["POST"]
    )
    with listening(app) as url:
        done = run_leaderboard("post", "--url", url, "--retry-seconds", "0", "-", stdin="{}\n", SECRET=SECRET)
    assert not ACTS.search(done.stderr)
    assert VISIBLE in done.stderr
