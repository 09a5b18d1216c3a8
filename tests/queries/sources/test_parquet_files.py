"""Only a file that cannot be read makes the lake unavailable. A mistake of our own rises as it is."""

import http.client
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from queries import StoreError, StoreUnavailable, collect
from queries.sources.object_stores import store_options
from queries.sources.parquet_files import scan_lake_files
from tests.support.s3 import BUCKET, S3Server

EVENTS = pl.DataFrame(
    {"id": range(2000), "text": [f"event {number % 700}" for number in range(2000)], "rate": [0.1, 0.2, 0.3, 0.4] * 500}
)


def parquet() -> bytes:
    file = io.BytesIO()
    EVENTS.write_parquet(file, row_group_size=500)
    return file.getvalue()


def mean_rates(files: list[str], options: dict[str, str] | None = None) -> pl.DataFrame:
    rows = scan_lake_files(files, options).filter(pl.col("id") >= 0)
    return collect(rows.group_by("text").agg(pl.col("rate").mean()))


def with_random_bytes(content: bytes) -> bytes:
    return content[:4] + random.Random(1).randbytes(len(content) - 8) + content[-4:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "a text": lambda content: b"this is no Parquet file",
    "zeros": lambda content: bytes(len(content)),
    "a broken footer": lambda content: content[:-200] + random.Random(1).randbytes(192) + content[-8:],
    "broken everywhere": with_random_bytes,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_file_is_unavailable(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    good.write_bytes(parquet())
    bad.write_bytes(damage(parquet()))
    with pytest.raises(StoreUnavailable, match=r"^a file of the lake cannot be read: "):
        mean_rates([str(good), str(bad)])


def test_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"^a file of the lake cannot be read: .*missing\.parquet"):
        mean_rates([str(tmp_path / "missing.parquet")])


def test_any_damage_is_read_over_or_unavailable(tmp_path: Path) -> None:
    picked, unavailable, path = random.Random(7), 0, tmp_path / "file.parquet"
    for _ in range(100):
        content = bytearray(parquet())
        start = picked.randrange(len(content))
        content[start : start + 50] = picked.randbytes(50)
        path.write_bytes(content)
        try:
            mean_rates([str(path)])
        except StoreUnavailable:
            unavailable += 1
    assert unavailable > 50


FAULTY_EXPRESSIONS: dict[str, pl.Expr] = {
    "an index out of bounds": pl.concat_list("rate").list.get(5),
    "a faulty pattern": pl.col("text").str.contains("("),
    "a missing column": pl.col("nothing"),
    "text that is no JSON": pl.col("text").str.json_decode(pl.Struct({"a": pl.Int64})),
    "text that is no number": pl.col("text").cast(pl.Int64),
}


@pytest.mark.parametrize("place", ["memory", "file"])
@pytest.mark.parametrize("expression", FAULTY_EXPRESSIONS.values(), ids=FAULTY_EXPRESSIONS.keys())
def test_faulty_expression_rises_as_itself(tmp_path: Path, expression: pl.Expr, place: str) -> None:
    path = tmp_path / "file.parquet"
    path.write_bytes(parquet())
    frame = EVENTS.lazy() if place == "memory" else scan_lake_files([str(path)], None)
    with pytest.raises(pl.exceptions.PolarsError) as failure:
        collect(frame.select(expression))
    assert not isinstance(failure.value, StoreError)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server() as server:
        for name, value in server.settings.items():
            monkeypatch.setenv(name, value)
        yield server


def put(server: S3Server, name: str, content: bytes) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", f"/{BUCKET}/{name}", content)
    assert connection.getresponse().status == 200
    connection.close()
    return f"s3://{BUCKET}/{name}"


def test_object_store_without_the_file_or_without_answer_is_unavailable(s3: S3Server) -> None:
    options = store_options("s3://", 1)
    good, cut = put(s3, "good.parquet", parquet()), put(s3, "cut.parquet", parquet()[:1000])
    assert mean_rates([good], options).height == 700
    for files in ([good, cut], [good, f"s3://{BUCKET}/missing.parquet"]):
        with pytest.raises(StoreUnavailable, match=r"^a file of the lake cannot be read: "):
            mean_rates(files, options)
    s3.__exit__()
    with pytest.raises(StoreUnavailable, match=r"^a file of the lake cannot be read: "):
        mean_rates([good], options)
