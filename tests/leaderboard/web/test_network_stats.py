"""``/api/network_stats``."""

import pytest
from flask.testing import FlaskClient

from tests.support.endpoints import AT_NOW, NOW, load_endpoint_events


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    load_endpoint_events(database)


def test_results_are_counted_by_the_columns_that_are_asked_for(client: FlaskClient) -> None:
    by_region = client.get(f"/api/network_stats?{AT_NOW}&group_by=region").json["network_stats"]
    assert [(row["region"], row["events"], row["success_rate"]) for row in by_region] == [
        ("FRA", 1, 0.5),
        ("MDW", 1, 1),
    ]
    assert by_region[0]["last_seen"] == NOW
    total = client.get(f"/api/network_stats?{AT_NOW}&group_by=none").json["network_stats"]
    assert [(row["orchestrators"], row["events"], row["failed"]) for row in total] == [(1, 2, 1)]
    model = client.get(f"/api/network_stats?{AT_NOW}&job_type=ai&group_by=model&group_by=pipeline").json
    assert [(row["pipeline"], row["model"]) for row in model["network_stats"]] == [("Text to image", "a/b")]


def test_file_has_a_row_per_group(client: FlaskClient) -> None:
    lines = client.get(f"/api/network_stats?{AT_NOW}&format=csv").text.splitlines()
    assert lines[0].startswith("job_type,region,orchestrators,events,")
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["transcoding", "FRA", "1", "1"],
        ["transcoding", "MDW", "1", "1"],
    ]


def test_unknown_column_is_named(client: FlaskClient) -> None:
    response = client.get("/api/network_stats?group_by=region,colour")
    assert response.status_code == 400
    assert "or none, not 'colour'" in response.json["error"]
