"""Ranges of files, which Polars and DuckDB fetch from a URL."""

import json
import urllib.request
from collections.abc import Callable, Iterator

import polars as pl
import pytest
from flask import Request
from flask.testing import FlaskClient

from leaderboard.web.media_types import encode_table, negotiate
from tests.support.service import RunningService
from tests.support.tables import READERS, TABLES


@pytest.mark.parametrize("name", ["parquet", "arrow", "csv", "ndjson"])
def test_range_of_a_file_is_served(recorded: FlaskClient, name: str) -> None:
    # results have no means, whose last bits may differ from request to request
    path = f"{TABLES['raw_stats']}&format={name}"
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


@pytest.mark.parametrize(("accepted", "coding"), [("gzip", "gzip"), ("*", "zstd")])
def test_range_of_a_compressed_text_is_the_whole_text(recorded: FlaskClient, accepted: str, coding: str) -> None:
    asked = {"Range": "bytes=0-999", "Accept-Encoding": accepted}
    response = recorded.get(f"{TABLES['leaderboard']}&format=csv", headers=asked)
    assert (response.status_code, response.headers["Content-Encoding"]) == (200, coding)


def test_range_of_a_known_file_is_not_modified(recorded: FlaskClient) -> None:
    path = f"{TABLES['raw_stats']}&format=parquet"
    whole = recorded.get(path)
    known = recorded.get(path, headers={"Range": "bytes=0-3", "If-None-Match": whole.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    changed = recorded.get(path, headers={"Range": "bytes=0-3", "If-None-Match": '"other"'})
    assert (changed.status_code, changed.data) == (206, whole.data[:4])


@pytest.mark.parametrize("name", ["parquet", "arrow", "csv", "ndjson"])
def test_layout_does_not_depend_on_the_last_bits_of_numbers(name: str) -> None:
    # few distinct numbers: a dictionary would store them once, but only if their last bits are equal
    numbers = [number % 9 / 7 + 0.01 for number in range(5000)]
    others = [number + place % 50 * 1e-16 for place, number in enumerate(numbers)]
    file_format = negotiate(Request({"QUERY_STRING": f"format={name}"}))
    one, other = (encode_table(pl.DataFrame({"score": column}), file_format) for column in (numbers, others))
    assert len(one) == len(other)
    assert READERS[name](one)["score"].to_list() == pytest.approx(numbers, abs=1e-9)


@pytest.fixture(scope="module")
def address(events_database: str) -> Iterator[str]:
    """The address of a running service, which takes no other work."""
    with RunningService({"POSTGRES": events_database}) as service:
        yield f"http://127.0.0.1:{service.port}"


def read_json_lines(url: str) -> pl.DataFrame:
    """Reads whole NDJSON as pandas does, with the standard library and without an Accept-Encoding."""
    with urllib.request.urlopen(url) as response:
        return pl.DataFrame(list(map(json.loads, response)), infer_schema_length=None)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["leaderboard", "score_history", "aggregated_stats", "raw_stats"])
@pytest.mark.parametrize(
    ("read", "name"),
    [
        (pl.read_parquet, "parquet"),
        (lambda url: pl.scan_parquet(url).collect(), "parquet"),
        (pl.read_csv, "csv"),
        (lambda url: pl.scan_csv(url, infer_schema_length=None).collect(), "csv"),
        (pl.read_ipc, "arrow"),
        (lambda url: pl.scan_ipc(url).collect(), "arrow"),
        (pl.read_ndjson, "ndjson"),
        (lambda url: pl.scan_ndjson(url).collect(), "ndjson"),
        (read_json_lines, "ndjson"),
    ],
)
def test_clients_read_the_url(address: str, table: str, read: Callable[[str], pl.DataFrame], name: str) -> None:
    url = f"{address}{TABLES[table]}&format="
    with urllib.request.urlopen(f"{url}parquet") as response:
        expected = pl.read_parquet(response.read())
    frame = read(url + name)
    assert (frame.height, frame.columns) == (expected.height, expected.columns)
    assert frame["orchestrator"].cast(pl.String).to_list() == expected["orchestrator"].cast(pl.String).to_list()
    for column in expected.select(pl.selectors.float()).columns:
        numbers = frame[column].cast(pl.Float64).to_list()
        assert numbers == pytest.approx(expected[column].to_list(), abs=1e-9), column
