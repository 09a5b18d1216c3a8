"""The levels of the log."""

import logging

import pytest
from flask.testing import FlaskClient

from leaderboard import logging_config
from tests.conftest import SECRET

RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40}


@pytest.fixture(autouse=True)
def _restore_level() -> None:
    yield
    logging_config.configure("INFO")


@pytest.mark.parametrize(
    ("level", "requests", "bodies"), [("INFO", False, False), ("DEBUG", True, False), ("TRACE", True, True)]
)
def test_debug_logs_requests_and_trace_logs_bodies(
    client: FlaskClient, post: object, caplog: pytest.LogCaptureFixture, level: str, requests: bool, bodies: bool
) -> None:
    logging_config.configure(level)
    client.get("/api/regions?x=1")
    post(RESULT)
    assert ("GET '/api/regions?x=1': 200 in " in caplog.text) == requests
    assert ("storing '{" in caplog.text) == bodies
    assert SECRET not in caplog.text


def test_levels_have_their_documented_names() -> None:
    assert [logging.getLevelName(number) for number in (5, 30)] == ["TRACE", "WARN"]


def test_message_is_one_line_without_control_characters() -> None:
    error = ValueError("\x1b[2J")
    text = "a\r\nWARN forged\x1b[2J"
    record = logging.LogRecord("leaderboard", logging.WARNING, "", 0, "got %s", (text,), (ValueError, error, None))
    line, *traceback = logging_config.LineFormatter("%(levelname)s %(message)s").format(record).split("\n")
    assert line == "WARN got a\\r\\nWARN forged\\x1b[2J"
    assert traceback[-1] == "  ValueError: \\x1b[2J"
