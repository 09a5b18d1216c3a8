"""Tables as files have the values of the JSON."""

import csv
import io
import json
import math
from typing import Any

import polars as pl
import pyarrow.ipc
import pytest
from flask.testing import FlaskClient

from tests.conftest import load_events
from tests.support.recorded import ADDRESS
from tests.support.tables import MEDIA_TYPES, READERS, TABLES

every_format = pytest.mark.parametrize("name", MEDIA_TYPES)


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


def as_json(value: Any) -> Any:
    """A value of a file as JSON has it."""
    return math.floor(value.timestamp()) if hasattr(value, "timestamp") else value


@pytest.mark.parametrize("path", TABLES.values(), ids=TABLES.keys())
@every_format
def test_file_has_the_values_of_the_json(recorded: FlaskClient, path: str, name: str) -> None:
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
            value = as_json(row[field])
            if isinstance(value, float):
                assert value == pytest.approx(document[field], rel=1e-9, abs=1e-9), field
            else:
                assert value == document[field], field
        if "errors" in row:
            assert json.loads(row["errors"]) == document["errors"] or "orchestrators" in path
        if "result" in row:
            assert json.loads(row["result"]) == document


def test_arrow_stream_is_readable_as_a_stream(recorded: FlaskClient) -> None:
    response = recorded.get(TABLES["leaderboard"], headers={"Accept": "application/vnd.apache.arrow.stream"})
    assert pyarrow.ipc.open_stream(response.data).read_all().num_rows == len(
        recorded.get(TABLES["leaderboard"]).json["leaderboard"]
    )


@every_format
def test_empty_file_has_columns(recorded: FlaskClient, name: str) -> None:
    for path in ("aggregated_stats?region=X", f"raw_stats?orchestrator={ADDRESS}", "score_history?", "leaderboard?"):
        response = recorded.get(f"/api/{path}&since=5&until=6&format={name}")
        assert response.status_code == 200
        if name != "ndjson":
            assert "region" in READERS[name](response.data).columns or "rank" in READERS[name](response.data).columns


def test_csv_has_no_formulas(database: str, client: FlaskClient) -> None:
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
