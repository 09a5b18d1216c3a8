"""Which format a response has, and the headers of files."""

import pytest
from flask.testing import FlaskClient

from leaderboard.web.responses import CACHE_CONTROL
from tests.support.tables import MEDIA_TYPES, TABLES

every_table = pytest.mark.parametrize("path", TABLES.values(), ids=TABLES.keys())
every_format = pytest.mark.parametrize("name", MEDIA_TYPES)


@every_table
@every_format
def test_file_has_a_name_and_caching_headers(recorded: FlaskClient, path: str, name: str) -> None:
    response = recorded.get(f"{path}&format={name}")
    assert response.content_type.partition(";")[0] == MEDIA_TYPES[name]
    endpoint = path.removeprefix("/api/").removeprefix("orchestrators/").partition("?")[0]
    assert response.headers["Content-Disposition"] == f'attachment; filename="{endpoint}.{name}"'
    assert response.headers["Cache-Control"] == CACHE_CONTROL
    assert "Accept" in response.vary
    again = recorded.get(f"{path}&format={name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Accept" in again.vary
    head = recorded.head(f"{path}&format={name}")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == response.headers["Content-Length"]


@every_table
def test_each_format_has_its_own_etag(recorded: FlaskClient, path: str) -> None:
    tags = {recorded.get(f"{path}&format={name}").headers["ETag"] for name in ("json", *MEDIA_TYPES)}
    assert len(tags) == 1 + len(MEDIA_TYPES)


@every_table
@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        *((mimetype, mimetype) for mimetype in MEDIA_TYPES.values()),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("image/png", "application/json"),
        ("nonsense", "application/json"),
        ("", "application/json"),
    ],
)
def test_accept_selects_the_format_unless_one_is_named(
    recorded: FlaskClient, path: str, accept: str, expected: str
) -> None:
    response = recorded.get(path, headers={"Accept": accept})
    assert response.content_type.partition(";")[0] == expected
    named = recorded.get(f"{path}&format=json", headers={"Accept": accept})
    assert named.content_type == "application/json"
    assert ("Content-Disposition" in response.headers) == (expected != "application/json")


@every_table
def test_unknown_format_is_a_400(recorded: FlaskClient, path: str) -> None:
    response = recorded.get(f"{path}&format=xlsx")
    assert response.status_code == 400
    assert response.json == {"error": "format must be one of json, csv, parquet, arrow, ndjson, not 'xlsx'"}


def test_error_is_json_in_every_format(recorded: FlaskClient) -> None:
    response = recorded.get("/api/leaderboard?sort=luck&format=csv", headers={"Accept": "text/csv"})
    assert (response.status_code, response.content_type) == (400, "application/json")
