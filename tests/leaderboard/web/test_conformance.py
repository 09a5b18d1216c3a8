"""The responses of the predecessor, recorded over the same events, are the responses of this service."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import conformance

RECORDED = conformance("answers")
NEW_REGIONS = [{"id": "SEA", "name": "Seattle", "type": "ai"}, {"id": "NYC", "name": "New York City", "type": "ai"}]


@pytest.fixture(scope="module")
def recorded(events_database: str) -> Iterator[FlaskClient]:
    app: Flask = create_app(
        Settings(lake_sync_interval=0, postgres=events_database, start_time_window=RECORDED["start_time_window_hours"])
    )
    yield app.test_client()
    app.extensions["leaderboard"].close()


def is_of_formula_1_only(case: dict[str, Any]) -> bool:
    """Whether the predecessor took the median of the region that was asked for."""
    return case["path"] == "/api/aggregated_stats" and {"pipeline", "region"} <= case["query"].keys()


CASES = [(case, {"formula": 1}) for case in RECORDED["cases"]] + [
    (case, {}) for case in RECORDED["cases"] if not is_of_formula_1_only(case)
]


@pytest.mark.parametrize(
    ("case", "formula"), CASES, ids=lambda part: f"{part['path']}?{part['query']}" if "path" in part else str(part)
)
def test_response_equals_the_recorded_one(recorded: FlaskClient, case: dict[str, Any], formula: dict[str, int]) -> None:
    response = recorded.get(case["path"], query_string=case["query"] | formula)
    assert response.status_code == case["status"]
    if case["body"] is not None:
        body = response.json
        if case["path"] == "/api/regions":
            # two were registered since
            recorded_body = {"regions": case["body"]["regions"] + NEW_REGIONS}
            body, case = by_id(body), case | {"body": by_id(recorded_body)}
        assert_covers(body, case["body"], case["path"])


def by_id(body: dict[str, list[dict[str, str]]]) -> list[dict[str, str]]:
    return sorted(body["regions"], key=lambda region: (region["id"], region["type"]))


def assert_covers(ours: Any, recorded: Any, path: str) -> None:
    """Equal as the conformance set defines it: results and scores may have fields that were not recorded."""
    if isinstance(recorded, dict):
        assert isinstance(ours, dict)
        if "success_rate" in recorded:
            assert recorded.keys() <= ours.keys(), path
        else:
            assert recorded.keys() == ours.keys(), path
        for key, value in recorded.items():
            assert_covers(ours[key], value, f"{path}.{key}")
    elif isinstance(recorded, list):
        assert len(ours) == len(recorded), path
        for index, value in enumerate(recorded):
            assert_covers(ours[index], value, f"{path}[{index}]")
    elif isinstance(recorded, (int, float)) and not isinstance(recorded, bool):
        assert not isinstance(ours, bool), path
        assert math.isclose(ours, recorded, rel_tol=1e-9, abs_tol=1e-9), f"{path}: {ours} is not {recorded}"
    else:
        assert ours == recorded, path
