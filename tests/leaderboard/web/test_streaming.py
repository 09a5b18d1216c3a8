"""Long responses are sent while they are made."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events, rows

ADDRESS = "0x" + "a" * 40
PATH = f"/api/raw_stats?orchestrator={ADDRESS}"


@pytest.fixture(autouse=True)
def _events(database: str) -> None:
    now = datetime.now(UTC).timestamp()
    events = [
        [now - number, ADDRESS, ("FRA", "LON")[number % 3 > 0], "transcoding", {"number": number, "note": "x" * 1000}]
        for number in range(5000)
    ]
    load_events(database, events)


def test_long_response_is_streamed_and_complete(client: FlaskClient) -> None:
    response = client.get(PATH)
    assert response.is_streamed
    assert "Content-Length" not in response.headers
    found = response.json
    assert list(found) == ["FRA", "LON"]
    assert [result["number"] for result in found["FRA"]] == [*range(0, 5000, 3)]
    assert [result["number"] for result in found["LON"]] == [number for number in range(5000) if number % 3]
    assert client.head(PATH).data == b""


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_long_response_is_compressed(client: FlaskClient, coding: str) -> None:
    compressed = client.get(PATH, headers={"Accept-Encoding": coding})
    assert compressed.headers["Content-Encoding"] == coding
    assert 0 < len(compressed.data) < len(client.get(PATH).data) / 5


def test_etag_of_a_long_response_covers_its_content(client: FlaskClient, database: str) -> None:
    etag = client.get(PATH).headers["ETag"]
    assert client.get(PATH, headers={"If-None-Match": etag}).status_code == 304
    rows(database, 'UPDATE events SET payload = payload || \'{"note": "y"}\' WHERE id = 4000')
    assert client.get(PATH).headers["ETag"] != etag
