"""No request makes the service fail, whatever its parameters, headers and body are."""

import base64
import json
import string
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaderboard.app import create_app
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from tests.conftest import clone, load_events
from tests.support.endpoints import ADDRESS, NOW, load_endpoint_events
from tests.support.service import SECRET

# fmt: off
PATHS = [
    "/api/aggregated_stats", "/api/raw_stats", "/api/score_history", "/api/leaderboard", "/api/top_ai_score",
    "/api/pipelines", "/api/regions", f"/api/orchestrators/{ADDRESS}", "/api/orchestrators/", "/api/health",
    "/metrics",
]
NAMES = [
    "orchestrator", "region", "since", "until", "pipeline", "model", "job_type", "format", "interval", "sort", "order",
    "limit", "min_events", "cursor",
]
VALUES = [
    "", "ai", "transcoding", "json", "csv", "parquet", "arrow", "ndjson", "1h", "6h", "1d", "7d", "asc", "desc", "0",
    "score", "rank", "orchestrator", "1", "100", "1000", "-1", "1e400", "NaN", "inf", "0001-01-01", "9999-12-31",
    ADDRESS, "FRA", "GLOBAL", str(NOW), "-99999999999", "99999999999", "W10", "WyIiLDAsMCxudWxsLCIiXQ", "x" * 3000,
]
HEADERS = [
    "Accept", "Accept-Encoding", "Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "Origin",
    "Authorization", "Content-Type", "Content-Length", "X-Forwarded-For", "Cookie", "Access-Control-Request-Headers",
]
HEADER_VALUES = [
    "*", "*/*", "text/csv", "application/x-ndjson;q=0", "gzip, br;q=0", "zstd;q=nan", "bytes=0-", "bytes=-1",
    "bytes=1-2,4-5", "bytes=99999999999999999999-", 'W/"x"', '"', "Wed, 99 Xxx 2026 99:99:99 GMT", "0", "-1",
]
# fmt: on

texts = st.one_of(st.sampled_from(VALUES), st.text(max_size=20), st.floats().map(str), st.integers().map(str))
queries = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=6)
header_texts = st.one_of(
    st.sampled_from(HEADER_VALUES), st.text(string.ascii_letters + string.digits + ' ,;=-*/"\\', max_size=20)
)
headers = st.dictionaries(st.sampled_from(HEADERS), header_texts, max_size=4)
leaves = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.sampled_from(VALUES), st.text(max_size=8))
documents = st.one_of(
    leaves,
    st.dictionaries(
        st.sampled_from(["region", "orchestrator", "success_rate", "errors", "timestamp", "model", "pipeline", "x"]),
        st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)),
    ),
)
bodies = st.one_of(st.binary(max_size=50), documents.map(lambda document: json.dumps(document).encode()))
many = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def client(server: str, template: str) -> Iterator[FlaskClient]:
    url = clone(server, template, "fuzz")
    load_endpoint_events(url)
    # a ranking needs a second page
    load_events(url, [[NOW, "0x" + "c" * 40, "FRA", "transcoding", {}]])
    app = create_app(Settings(lake_sync_interval=0, postgres=url, secret=SECRET))
    yield app.test_client()
    app.extensions["leaderboard"].close()


@many
@given(st.sampled_from(["GET", "HEAD", "OPTIONS"]), st.sampled_from(PATHS), queries, headers)
def test_no_question_makes_the_service_fail(
    client: FlaskClient, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    parameters = [(name, value.encode("utf-8", "surrogatepass")) for name, value in query]
    response = client.open(path, method=method, query_string=parameters, headers=headers)
    assert response.status_code in (200, 206, 304, 400, 404, 405, 416)
    if response.status_code >= 400 and method == "GET":
        assert list(response.json) == ["error"]


@many
@given(bodies, headers, st.booleans(), st.booleans())
def test_no_post_makes_the_service_fail(
    client: FlaskClient, body: bytes, headers: dict[str, str], is_signed: bool, is_batch: bool
) -> None:
    sent = b"[" + body + b"]" if is_batch else body
    signature = {"Authorization": sign(SECRET, sent)} if is_signed else {}
    headers = {name: value for name, value in headers.items() if name != "Content-Length"} | signature
    response = client.post("/api/post_stats", data=sent, headers=headers)
    assert response.status_code in (200, 400, 403, 413)


@pytest.mark.parametrize("sort", ["score", "rank", "orchestrator", "last_seen", "failed"])
@settings(many, max_examples=100)
@given(
    st.one_of(leaves, st.sampled_from([10**30, -(10**30), 2**63, 2**64, 1e308, -0.0, "\ud800", "\0"])),
    st.one_of(st.sampled_from([None, -(2**62), 2**62, 10**30, 1.5]), st.integers()),
    st.text(max_size=5),
)
def test_no_forged_cursor_makes_the_service_fail(
    client: FlaskClient, sort: str, key: object, until: object, address: str
) -> None:
    path = f"/api/leaderboard?since=0&limit=1&sort={sort}"
    cursor = client.get(path).json["next_cursor"]
    row = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    row[2:] = [row[2] if until is None else until, key, address]
    forged = base64.urlsafe_b64encode(json.dumps(row).encode()).decode()
    response = client.get(f"{path}&cursor={forged}")
    assert response.status_code in (200, 400)
