"""Refused posts are seen in the log, and cannot flood it."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.leaderboard.results.test_posting import good

LOGGER = "leaderboard.results.refusals"


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_three_hundred_wrong_signatures_leave_two_lines(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    headers = {"Authorization": "x", "X-Forwarded-For": "203.0.113.7\x1b[31m"}
    for _ in range(300):
        assert client.post("/api/post_stats", data=good(), headers=headers).status_code == 403
    reason = "the Authorization header is not the signature of this body"
    sender = r"127.0.0.1 (for 203.0.113.7\u001b[31m)"
    assert refusals(caplog) == [f"refused a post from {sender} for a wrong signature: {reason}"]
    # the count comes a minute later, or when the service stops
    client.application.extensions["leaderboard"].close()
    assert refusals(caplog)[1:] == [
        f"refused 299 more posts for a wrong signature within 60 s, the last one from {sender}: {reason}"
    ]


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (good(region="XXX"), "an unknown region", "region 'XXX' is not registered for transcoding results"),
        (b"[" + good(region="XXX") + b"]", "an unknown region", "results[0]: region 'XXX' is not registered for"),
        (good(success_rate=-1), "an invalid result", "success_rate must be a number of at least 0"),
        (good(note="x" * 2**20), "an invalid result", "a result is larger than 1048576 bytes"),
    ],
)
def test_refusal_is_logged_with_its_reason(
    post: Callable[..., Any], caplog: pytest.LogCaptureFixture, body: bytes, kind: str, reason: str
) -> None:
    assert post(body).status_code in (400, 413)
    (line,) = refusals(caplog)
    assert line.startswith(f"refused a post from 127.0.0.1 for {kind}: {reason}")
