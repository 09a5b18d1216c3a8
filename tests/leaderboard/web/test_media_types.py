"""Tables as files: what is read back is what the JSON tells."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import polars as pl
import pyarrow.ipc
import pytest
from flask import Flask, Request
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from leaderboard.web import media_types
from leaderboard.web.responses import CACHE_CONTROL
from tests.conftest import conformance, load_events
from tests.support.service import RunningService

EVENTS = conformance("events")
ALL = f"since={EVENTS['t0']}&until={EVENTS['t1']}"
OWN = "0x023c39c200661fccd268a29a0d347301ef56e64d"
AI_JOB = f"pipeline={quote('Text to image')}&model={quote('ByteDance/SDXL-Lightning')}"
TABLES = {
    "aggregated_stats": f"/api/aggregated_stats?{ALL}",
    "aggregated_stats, AI": f"/api/aggregated_stats?{ALL}&{AI_JOB}",
    "raw_stats": f"/api/raw_stats?{ALL}&orchestrator={OWN}",
    "raw_stats, AI": f"/api/raw_stats?{ALL}&orchestrator={OWN}&job_type=ai",
    "score_history": f"/api/score_history?{ALL}&orchestrator={OWN}",
    "score_history, AI": f"/api/score_history?{ALL}&{AI_JOB}",
    "leaderboard": f"/api/leaderboard?{ALL}",
    "orchestrator": f"/api/orchestrators/{OWN}?{ALL}",
}
TYPES = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
    "ndjson": "application/x-ndjson",
}
READERS: dict[str, Callable[[bytes], pl.DataFrame]] = {
    "csv": lambda body: pl.read_csv(io.BytesIO(body), infer_schema_length=None, try_parse_dates=True),
    "parquet": lambda body: pl.read_parquet(io.BytesIO(body)),
    "arrow": lambda body: pl.read_ipc(io.BytesIO(body)),
    "ndjson": lambda body: pl.read_ndjson(io.BytesIO(body), infer_schema_length=None),
}
every_table = pytest.mark.parametrize("path", TABLES.values(), ids=TABLES.keys())
every_format = pytest.mark.parametrize("name", TYPES)


@pytest.fixture(scope="module")
def recorded(events_database: str) -> Iterator[FlaskClient]:
    app: Flask = create_app(Settings(postgres=events_database))
    yield app.test_client()
    app.extensions["leaderboard"].close()


def rows_of(path: str, document: Any) -> list[dict[str, Any]]:
    """The rows of a table in its JSON."""
    if "aggregated_stats" in path:
        return [
            {"orchestrator": orchestrator, "region": region} | scores
            for orchestrator, regions in document.items()
            for region, scores in regions.items()
        ]
    if "raw_stats" in path:
        return [result for region in sorted(document) for result in document[region]]
    return next(document[name] for name in ("history", "leaderboard", "jobs") if name in document)


def told(value: Any) -> Any:
    """A value of a file as JSON has it."""
    return math.floor(value.timestamp()) if hasattr(value, "timestamp") else value


@every_table
@every_format
def test_a_file_tells_what_the_json_tells(recorded: FlaskClient, path: str, name: str) -> None:
    response = recorded.get(f"{path}&format={name}")
    assert response.status_code == 200
    frame = READERS[name](response.data)
    if "raw_stats" in path:
        frame = frame.sort("region", maintain_order=True)
    if name == "ndjson":
        text = pl.col(pl.String).exclude("orchestrator", "region", "errors", "result", "pipeline", "model", "job_type")
        frame = frame.with_columns(text.str.to_datetime(time_zone="UTC"))
    expected = rows_of(path, recorded.get(path).json)
    assert frame.height == len(expected) > 0
    for row, document in zip(frame.iter_rows(named=True), expected, strict=True):
        compared = row.keys() & document.keys() - {"errors"}
        assert len(compared) >= 5
        for field in compared:
            value = told(row[field])
            if isinstance(value, float):
                assert value == pytest.approx(document[field], rel=1e-9, abs=1e-9), field
            else:
                assert value == document[field], field
        if "errors" in row:
            assert json.loads(row["errors"]) == document["errors"] or "orchestrators" in path
        if "result" in row:
            assert json.loads(row["result"]) == document


@every_table
@every_format
def test_a_file_has_a_name_and_may_be_kept_as_any_answer(recorded: FlaskClient, path: str, name: str) -> None:
    response = recorded.get(f"{path}&format={name}")
    assert response.content_type.partition(";")[0] == TYPES[name]
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
def test_each_format_has_an_etag_of_its_own(recorded: FlaskClient, path: str) -> None:
    tags = {recorded.get(f"{path}&format={name}").headers["ETag"] for name in ("json", *TYPES)}
    assert len(tags) == 1 + len(TYPES)


@every_table
@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        *((mimetype, mimetype) for mimetype in TYPES.values()),
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("text/csv;q=0.5, application/json;q=0.4", "text/csv"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("image/png", "application/json"),
        ("nonsense", "application/json"),
        ("", "application/json"),
    ],
)
def test_accept_chooses_where_nothing_is_named(recorded: FlaskClient, path: str, accept: str, expected: str) -> None:
    response = recorded.get(path, headers={"Accept": accept})
    assert response.content_type.partition(";")[0] == expected
    named = recorded.get(f"{path}&format=json", headers={"Accept": accept})
    assert named.content_type == "application/json"
    assert ("Content-Disposition" in response.headers) == (expected != "application/json")


def test_a_stream_of_arrow_is_one(recorded: FlaskClient) -> None:
    response = recorded.get(TABLES["leaderboard"], headers={"Accept": "application/vnd.apache.arrow.stream"})
    assert pyarrow.ipc.open_stream(response.data).read_all().num_rows == len(
        recorded.get(TABLES["leaderboard"]).json["leaderboard"]
    )


@every_table
def test_a_format_that_there_is_not_is_a_400(recorded: FlaskClient, path: str) -> None:
    response = recorded.get(f"{path}&format=xlsx")
    assert response.status_code == 400
    assert response.json == {"error": "format must be one of json, csv, parquet, arrow, ndjson, not 'xlsx'"}


def test_an_error_is_json_whatever_was_asked_for(recorded: FlaskClient) -> None:
    response = recorded.get("/api/leaderboard?sort=luck&format=csv", headers={"Accept": "text/csv"})
    assert (response.status_code, response.content_type) == (400, "application/json")


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_text_is_compressed(recorded: FlaskClient, name: str) -> None:
    path = f"{TABLES['score_history']}&format={name}"
    sort_and_encode = recorded.get(path, headers={"Accept-Encoding": "gzip"})
    assert sort_and_encode.headers["Content-Encoding"] == "gzip"
    assert {"Accept", "Accept-Encoding"} <= set(sort_and_encode.vary)


@every_format
def test_nothing_is_a_file_with_columns(recorded: FlaskClient, name: str) -> None:
    for path in ("aggregated_stats?region=X", f"raw_stats?orchestrator={OWN}", "score_history?", "leaderboard?"):
        response = recorded.get(f"/api/{path}&since=5&until=6&format={name}")
        assert response.status_code == 200
        if name != "ndjson":
            assert "region" in READERS[name](response.data).columns or "rank" in READERS[name](response.data).columns


def test_a_spreadsheet_is_given_no_formulas(database: str, client: FlaskClient) -> None:
    names = ["=1+1", "+1", "-1", "@sum(1)", "\tx", "\nx", "＝1", "＠x", "plain=1", "'quoted"]
    address = "0x" + "a" * 40
    error = {"errors": [{"error_code": "=cmd()", "count": 1}]}
    load_events(database, [[1000, address, "FRA", "ai", {"pipeline": "=p", "model": name} | error] for name in names])
    text = client.get(f"/api/orchestrators/{address}?since=0&until=2000&format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["pipeline"] for row in rows} == {"'=p"}
    assert {row["model"] for row in rows} == {f"'{name}" for name in names[:-2]} | set(names[-2:])
    assert not [value for row in rows for value in row.values() if value[:1] in tuple("=+-@\t\r\n＝＋－＠")]
    exact = client.get(f"/api/orchestrators/{address}?since=0&until=2000&format=parquet").data
    assert set(pl.read_parquet(io.BytesIO(exact))["model"]) == set(names)


@pytest.mark.parametrize("name", ["parquet", "arrow", "csv"])
def test_a_part_of_a_file_is_what_a_reader_asks_for(recorded: FlaskClient, name: str) -> None:
    path = f"{TABLES['leaderboard']}&format={name}"
    whole = recorded.get(path)
    length = len(whole.data)
    assert whole.headers["Accept-Ranges"] == "bytes"
    for asked, part in {
        "bytes=0-3": slice(0, 4),
        "bytes=10-": slice(10, None),
        "bytes=-8": slice(-8, None),
        f"bytes=-{length * 9}": slice(None),
        f"bytes=4-{length * 9}": slice(4, None),
    }.items():
        response = recorded.get(path, headers={"Range": asked})
        assert (response.status_code, response.data) == (206, whole.data[part])
        begin, end, _ = part.indices(length)
        assert response.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{length}"
        assert response.headers["Content-Length"] == str(end - begin)
    beyond = recorded.get(path, headers={"Range": f"bytes={length}-"})
    assert (beyond.status_code, list(beyond.json)) == (416, ["error"])
    for nothing in ("bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "x"):
        assert recorded.get(path, headers={"Range": nothing}).status_code == 200
    conditional = {"Range": "bytes=0-3", "If-Range": whole.headers["ETag"]}
    assert recorded.get(path, headers=conditional).status_code == 200


def test_a_part_of_a_text_is_not_compressed_and_taken_for_the_whole(recorded: FlaskClient) -> None:
    asked = {"Range": "bytes=0-999", "Accept-Encoding": "gzip"}
    response = recorded.get(f"{TABLES['leaderboard']}&format=csv", headers=asked)
    assert (response.status_code, response.headers["Content-Encoding"]) == (200, "gzip")


@pytest.mark.parametrize("name", ["parquet", "arrow", "csv"])
def test_numbers_are_at_the_same_places_whatever_their_last_bits(name: str) -> None:
    # as many as they are, they may be equal or not
    numbers = [number % 9 / 7 + 0.01 for number in range(5000)]
    form = media_types.negotiate(Request({"QUERY_STRING": f"format={name}"}))
    one, other = (
        media_types.encode_table(
            pl.DataFrame({"score": [nudged(number, place) for place, number in enumerate(numbers)]}), form
        )
        for nudged in (lambda number, _: number, lambda number, place: number + place % 50 * 1e-16)
    )
    assert len(one) == len(other)
    assert READERS[name](one)["score"].to_list() == pytest.approx(numbers, abs=1e-9)


@pytest.mark.slow
def test_polars_reads_the_url(events_database: str) -> None:
    with RunningService({"POSTGRES": events_database}) as service:
        url = f"http://127.0.0.1:{service.port}"
        expected = service.get(TABLES["leaderboard"]).json["leaderboard"]
        for read, name in ((pl.read_parquet, "parquet"), (pl.read_csv, "csv"), (pl.read_ipc, "arrow")):
            frame = read(f"{url}{TABLES['leaderboard']}&format={name}")
            assert frame["orchestrator"].to_list() == [row["orchestrator"] for row in expected]
            assert frame["score"].to_list() == pytest.approx([row["score"] for row in expected], abs=1e-9)
