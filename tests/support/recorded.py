"""The conformance set, and requests about all of it."""

from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient

from tests.conftest import conformance

EVENTS = conformance("events")
ALL = f"since={EVENTS['t0']}&until={EVENTS['t1']}"
"""The query string of the window that has all events."""
ADDRESS = "0x023c39c200661fccd268a29a0d347301ef56e64d"
OTHER_ADDRESS = "0x1ead8f062d15a4f4ef27e9589c6948f6d30c01c3"
PIPELINE, MODEL = "Text to image", "ByteDance/SDXL-Lightning"
AI_JOB = f"pipeline={quote(PIPELINE)}&model={quote(MODEL)}"
SCORE_FIELDS = ("success_rate", "round_trip_score", "score")


def ranking_rows(client: FlaskClient, query: str) -> list[dict[str, Any]]:
    """The rows of the ranking over all events."""
    response = client.get(f"/api/leaderboard?{ALL}&{query}")
    assert response.status_code == 200, response.json
    return response.json["leaderboard"]


def error_of(client: FlaskClient, path: str) -> str:
    """The error of a request that must be refused with 400."""
    response = client.get(f"/api/{path}")
    assert response.status_code == 400
    return response.json["error"]
