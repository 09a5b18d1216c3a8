"""What the levels of the log tell."""

import logging

import pytest
from flask.testing import FlaskClient

from leaderboard import logging_config
from tests.conftest import SECRET

RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40}


@pytest.fixture(autouse=True)
def _level_after() -> None:
    yield
    logging_config.configure("INFO")


@pytest.mark.parametrize(
    ("level", "requests", "bodies"), [("INFO", False, False), ("DEBUG", True, False), ("TRACE", True, True)]
)
def test_debug_tells_of_requests_and_trace_of_bodies(
    client: FlaskClient, post: object, caplog: pytest.LogCaptureFixture, level: str, requests: bool, bodies: bool
) -> None:
    logging_config.configure(level)
    client.get("/api/regions?x=1")
    post(RESULT)
    assert ("GET '/api/regions?x=1': 200 in " in caplog.text) == requests
    assert ("storing '{" in caplog.text) == bodies
    assert SECRET not in caplog.text


def test_a_level_has_its_documented_name() -> None:
    assert [logging.getLevelName(number) for number in (5, 30)] == ["TRACE", "WARN"]
