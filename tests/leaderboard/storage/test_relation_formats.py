"""What a DuckDB statement returns, in each format."""

import io
import json
from collections.abc import Iterator

import duckdb
import polars as pl
import pytest

from leaderboard.storage.relation_formats import RELATION_FORMATS, write_relation


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def write(connection: duckdb.DuckDBPyConnection, statement: str, file_format: str, **options: bool) -> bytes:
    out = io.BytesIO()
    relation = connection.sql(statement)
    assert write_relation(relation, out, file_format, **options) == len(relation.fetchall())
    return out.getvalue()


def test_csv_has_values_as_duckdb_shows_them(connection: duckdb.DuckDBPyConnection) -> None:
    statement = """SELECT [1, 2] AS list, {'a': 1} AS struct, TIMESTAMPTZ '2026-09-02 00:00:00Z' AS time,
        'a,"b' AS text, '' AS empty, NULL AS nothing, 170141183460469231731687303715884105727 AS huge"""
    assert write(connection, statement, "csv").decode().splitlines() == [
        "list,struct,time,text,empty,nothing,huge",
        """"[1, 2]",{'a': 1},2026-09-02 00:00:00+00,"a,""b","",,170141183460469231731687303715884105727""",
    ]


def test_formulas_are_escaped_in_csv_but_numbers_are_not(connection: duckdb.DuckDBPyConnection) -> None:
    statement = """SELECT '=1' AS "=x", '－1' AS "a,b", -1.5 AS d, -2 AS i, -1e-9::DOUBLE AS f, -3::HUGEINT AS h"""
    assert write(connection, statement, "csv").decode() == """'=x,"a,b",d,i,f,h\n'=1,'－1,-1.5,-2,-1e-09,-3\n"""
    kept = write(connection, statement, "csv", keep_formulas=True).decode()
    assert kept == """=x,"a,b",d,i,f,h\n=1,－1,-1.5,-2,-1e-09,-3\n"""


def test_equal_names_of_columns_do_not_mix_up_numbers_and_text(connection: duckdb.DuckDBPyConnection) -> None:
    assert write(connection, "SELECT -1 AS a, '-2' AS a, -3 AS A", "csv").splitlines()[1] == b"-1,'-2,-3"


@pytest.mark.parametrize(("file_format", "start", "separator"), [("json", "[", ",\n"), ("ndjson", "", "\n")])
def test_json_has_an_object_per_line(
    connection: duckdb.DuckDBPyConnection, file_format: str, start: str, separator: str
) -> None:
    statement = """SELECT range AS id, '{"x": [1]}'::JSON AS payload, 'é' AS text,
        CASE range WHEN 0 THEN 1.5 WHEN 1 THEN 'nan'::DOUBLE ELSE '-inf'::DOUBLE END AS number FROM range(3)"""
    body = write(connection, statement, file_format).decode()
    assert body.startswith(start)
    assert body.count(separator) == (2 if file_format == "json" else 3)
    rows = json.loads(body) if file_format == "json" else [json.loads(line) for line in body.splitlines()]
    assert rows == [
        {"id": id_, "payload": {"x": [1]}, "text": "é", "number": number}
        for id_, number in enumerate([1.5, None, None])
    ]


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_text_that_looks_like_no_number_stays(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    assert json.loads(write(connection, f"SELECT '{text}' AS text", "ndjson")) == {"text": text}


def test_parquet_has_typed_columns(connection: duckdb.DuckDBPyConnection) -> None:
    statement = """SELECT 1 AS "a""b", 0.5::DOUBLE AS number, [1] AS list, INTERVAL '2 days' AS interval"""
    found = pl.read_parquet(io.BytesIO(write(connection, statement, "parquet")))
    assert found.rows() == [(1, 0.5, [1], "2 days")]
    assert found.columns == ['a"b', "number", "list", "interval"]


@pytest.mark.parametrize(
    ("file_format", "body"), [("csv", b"a,b\n"), ("json", b"[]\n"), ("ndjson", b""), ("parquet", None)]
)
def test_no_rows_are_an_empty_table(
    connection: duckdb.DuckDBPyConnection, file_format: str, body: bytes | None
) -> None:
    written = write(connection, "SELECT 1 AS a, 'x' AS b WHERE false", file_format)
    if body is None:
        assert pl.read_parquet(io.BytesIO(written)).schema == {"a": pl.Int32, "b": pl.String}
    else:
        assert written == body


@pytest.mark.parametrize("file_format", RELATION_FORMATS)
def test_many_batches_keep_all_rows_in_their_order(connection: duckdb.DuckDBPyConnection, file_format: str) -> None:
    written = io.BytesIO(write(connection, "SELECT range AS id FROM range(120_000)", file_format))
    readers = {"csv": pl.read_csv, "json": pl.read_json, "ndjson": pl.read_ndjson, "parquet": pl.read_parquet}
    assert readers[file_format](written)["id"].to_list() == list(range(120_000))


@pytest.mark.parametrize("file_format", RELATION_FORMATS)
def test_statement_that_fails_on_its_first_rows_writes_nothing(
    connection: duckdb.DuckDBPyConnection, file_format: str
) -> None:
    out = io.BytesIO()
    relation = connection.sql("SELECT (CASE range WHEN 5 THEN 'x' ELSE '1' END)::INTEGER AS n FROM range(10)")
    with pytest.raises(duckdb.ConversionException):
        write_relation(relation, out, file_format)
    assert out.getvalue() == b""
