"""Thousands of failures a minute are a few lines in the log."""

import logging

import pytest
from flask.testing import FlaskClient

from leaderboard.counted_log import CountedLog
from leaderboard.settings import Settings
from tests.support.waiting import eventually

log = logging.getLogger("leaderboard.tests")


def add(counted: CountedLog, kind: str, number: int) -> None:
    counted.add(kind, f"{kind} {number}", lambda times, seconds: f"{kind} {times} more times within {seconds:g} s")


def test_first_of_each_kind_is_logged_and_then_their_number(caplog: pytest.LogCaptureFixture) -> None:
    counted = CountedLog(log, count_seconds=1000)
    for number in range(500):
        add(counted, "slow", number)
        add(counted, "gone", number)
    assert caplog.messages == ["slow 0", "gone 0"]
    counted.close()
    assert caplog.messages[2:] == ["slow 499 more times within 1000 s", "gone 499 more times within 1000 s"]


def test_count_comes_without_another_failure(caplog: pytest.LogCaptureFixture) -> None:
    counted = CountedLog(log, count_seconds=0.1)
    add(counted, "slow", 0)
    add(counted, "slow", 1)
    eventually(lambda: any("more times" in message for message in caplog.messages))
    counted.close()


def test_one_failure_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    counted = CountedLog(log, count_seconds=1000)
    add(counted, "slow", 0)
    counted.close()
    assert caplog.messages == ["slow 0"]


@pytest.fixture
def unreachable_database() -> Settings:
    return Settings(lake_sync_interval=0, postgres="postgresql://127.0.0.1:1/nothing", secret="s")


def test_requests_that_fail_are_one_line(unreachable_database: Settings, caplog: pytest.LogCaptureFixture) -> None:
    from leaderboard.app import create_app

    app = create_app(unreachable_database)
    client: FlaskClient = app.test_client()
    caplog.clear()
    assert [client.get("/api/raw_stats?orchestrator=x").status_code for _ in range(10)] == [503] * 10
    assert [client.get("/api/aggregated_stats").status_code for _ in range(10)] == [503] * 10
    refusals = [message for message in caplog.messages if message.startswith("answering 503: ")]
    assert len(refusals) == 1
    assert len(caplog.messages) < 10
    app.extensions["leaderboard"].close()
    assert sum(message.startswith("answered 503 to 19 more requests within 60 s") for message in caplog.messages) == 1
