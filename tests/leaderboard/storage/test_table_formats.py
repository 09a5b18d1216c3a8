"""Every format gives back the rows that were written, frame after frame."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from leaderboard.storage.table_formats import CHUNK_ROWS, DEFAULT_OPTIONS, TABLE_FORMATS, TableOptions, write_table

FRAMES = [
    pl.DataFrame(
        {
            "id": [1, 2],
            "name": pl.Series(["a", "b,\"'"], dtype=pl.Categorical),
            "value": [-1.5, None],
            "received": [datetime(2026, 9, 1, 12, tzinfo=UTC), datetime(2026, 9, 1, 12, 0, 0, 5, tzinfo=UTC)],
        }
    ),
    pl.DataFrame(
        {
            "id": [3],
            "name": pl.Series([""], dtype=pl.Categorical),
            "value": [1e-300],
            "received": [datetime(2026, 9, 2, tzinfo=UTC)],
        }
    ),
]
ROWS = pl.concat(frame.with_columns(pl.col("name").cast(pl.String)) for frame in FRAMES)
READERS = {
    "parquet": pl.read_parquet,
    "arrow": pl.read_ipc,
    "arrows": pl.read_ipc_stream,
    "csv": lambda body: pl.read_csv(body, try_parse_dates=True),
    "ndjson": lambda body: pl.read_ndjson(body).with_columns(pl.col("received").str.to_datetime(time_zone="UTC")),
}
FORMULAS = ["=1+1", "+1", "-1", "@sum(1)", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"]
HARMLESS = ["1=1", "'=1", " =1", "", None]


def write(frames: list[pl.DataFrame], file_format: str, options: TableOptions = DEFAULT_OPTIONS) -> bytes:
    out = io.BytesIO()
    assert write_table(frames, out, file_format, options) == sum(frame.height for frame in frames)
    return out.getvalue()


def read_csv(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline=""), strict=True))


@pytest.mark.parametrize("file_format", TABLE_FORMATS)
@pytest.mark.parametrize("fixed_layout", [False, True])
def test_rows_are_read_back(file_format: str, fixed_layout: bool) -> None:
    body = write(FRAMES, file_format, TableOptions(fixed_layout=fixed_layout))
    found = READERS[file_format](io.BytesIO(body)).cast({"received": pl.Datetime("us", "UTC")})
    assert_frame_equal(found.select(ROWS.columns), ROWS, abs_tol=1e-12)


@pytest.mark.parametrize("file_format", TABLE_FORMATS)
def test_frame_without_rows_is_a_table_with_columns(file_format: str) -> None:
    body = write([FRAMES[0].clear()], file_format)
    if file_format == "ndjson":
        assert body == b""
    else:
        assert READERS[file_format](io.BytesIO(body)).columns == ROWS.columns


@pytest.mark.parametrize("file_format", [name for name in TABLE_FORMATS if name != "ndjson"])
def test_no_frame_at_all_is_refused(file_format: str) -> None:
    with pytest.raises(ValueError, match="needs at least one frame"):
        write_table([], io.BytesIO(), file_format)


def test_times_are_rfc_3339_in_csv_and_ndjson() -> None:
    assert b"2026-09-01T12:00:00.000005Z" in write(FRAMES, "csv")
    assert b'"2026-09-01T12:00:00.000005Z"' in write(FRAMES, "ndjson")


def test_csv_ends_lines_as_requested() -> None:
    frame = pl.DataFrame({"a": ["x"]})
    assert write([frame], "csv") == b"a\nx\n"
    assert write([frame], "csv", TableOptions(line_terminator="\r\n")) == b"a\r\nx\r\n"


def test_csv_tells_empty_text_from_null() -> None:
    assert write([pl.DataFrame({"a": ["", None], "b": [1, 2]})], "csv") == b'a,b\n"",1\n,2\n'


@pytest.mark.parametrize("text", FORMULAS)
def test_formula_gets_a_quote_in_csv(text: str) -> None:
    frame = pl.DataFrame({"text": [text], text: [1]})
    assert read_csv(write([frame], "csv")) == [["text", f"'{text}"], [f"'{text}", "1"]]


def test_other_text_and_numbers_are_left_as_they_are() -> None:
    frame = pl.DataFrame({"text": HARMLESS, "number": [-1.5, -1, 0, 1, 2], "digits": ["-1", "-2", "-3", "-4", "-5"]})
    found = read_csv(write([frame], "csv", TableOptions(number_columns=["digits"])))
    assert found[1:] == [
        ["1=1", "-1.5", "-1"],
        ["'=1", "-1.0", "-2"],
        [" =1", "0.0", "-3"],
        ["", "1.0", "-4"],
        ["", "2.0", "-5"],
    ]


def test_formulas_are_kept_on_request() -> None:
    frame = pl.DataFrame({"=x": FORMULAS})
    assert read_csv(write([frame], "csv", TableOptions(keep_formulas=True))) == [["=x"], *([text] for text in FORMULAS)]


@pytest.mark.parametrize("file_format", [name for name in TABLE_FORMATS if name != "csv"])
def test_other_formats_keep_formulas(file_format: str) -> None:
    text_readers = READERS | {"ndjson": pl.read_ndjson}
    body = write([pl.DataFrame({"text": FORMULAS})], file_format)
    assert text_readers[file_format](io.BytesIO(body))["text"].to_list() == FORMULAS


@pytest.mark.parametrize("file_format", ["csv", "parquet", "arrow"])
def test_fixed_layout_puts_numbers_in_the_same_places_whatever_their_last_bits(file_format: str) -> None:
    # in one frame many numbers are equal, in the other none are
    numbers = [number % 9 / 7 + 0.01 for number in range(5000)]
    nudged = [number + position % 50 * 1e-16 for position, number in enumerate(numbers)]
    assert len(set(nudged)) > 2 * len(set(numbers))
    frames = [pl.DataFrame({"score": scores, "name": "x"}) for scores in (numbers, nudged)]
    options = TableOptions(fixed_layout=True)
    one, other = (write([frame], file_format, options) for frame in frames)
    assert len(one) == len(other)
    assert READERS[file_format](io.BytesIO(other))["score"].to_list() == pytest.approx(numbers, abs=1e-9)


def test_parquet_has_row_groups_of_limited_size() -> None:
    frame = pl.DataFrame({"a": range(CHUNK_ROWS + 1)})
    metadata = pq.read_metadata(io.BytesIO(write([frame, frame], "parquet")))
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert groups == [CHUNK_ROWS, 1, CHUNK_ROWS, 1]


def test_arrow_has_no_types_that_older_readers_lack() -> None:
    schema = pyarrow.ipc.open_file(io.BytesIO(write(FRAMES, "arrow"))).schema
    assert [str(field.type) for field in schema] == ["int64", "large_string", "double", "timestamp[us, tz=UTC]"]


def test_frames_are_not_collected_before_they_are_written() -> None:
    out = io.BytesIO()
    sizes = []

    def frames() -> Iterator[pl.DataFrame]:
        for number in range(3):
            sizes.append(len(out.getvalue()))
            yield pl.DataFrame({"a": [number]})

    write_table(frames(), out, "csv")
    assert sizes == [0, len("a\n0\n"), len("a\n0\n1\n")]
