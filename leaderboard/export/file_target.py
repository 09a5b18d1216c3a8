"""Frames written to a file, one after another."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Raw

from leaderboard.export.datasets import PIECE, Frames
from leaderboard.results.completion import whole
from queries.times import RFC_3339_FORMAT

COMPRESSION, COMPRESSION_LEVEL = "zstd", 3

_EVENT_TIME = "event_time"
_fields = msgspec.json.Decoder(dict[str, Raw])


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """The frame with types that every reader of Arrow knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def write(frames: Frames, file: Path, form: str) -> int:
    """Writes frames of the same columns to a file, in one of FORMATS, and returns how many rows they have."""
    return sum(FORMATS[form](frames, file))


def _parquet(frames: Frames, file: Path) -> Iterator[int]:
    first = to_arrow(next(frames))
    with pq.ParquetWriter(file, first.schema, compression=COMPRESSION, compression_level=COMPRESSION_LEVEL) as writer:
        for table in _tables(first, frames):
            writer.write_table(table, row_group_size=PIECE)
            yield table.num_rows


def _arrow(frames: Frames, file: Path) -> Iterator[int]:
    first = to_arrow(next(frames))
    options = pa.ipc.IpcWriteOptions(compression=COMPRESSION)
    with pa.ipc.new_file(file, first.schema, options=options) as writer:
        for table in _tables(first, frames):
            writer.write_table(table, max_chunksize=PIECE)
            yield table.num_rows


def _csv(frames: Frames, file: Path) -> Iterator[int]:
    """RFC 4180, in UTF-8; null is an empty field, and empty text is in quotes."""
    with file.open("wb") as out:
        for number, frame in enumerate(frames):
            frame.write_csv(out, include_header=number == 0, line_terminator="\r\n", datetime_format=RFC_3339_FORMAT)
            yield frame.height


def _ndjson(frames: Frames, file: Path) -> Iterator[int]:
    """An object on each line: the row, or the result where there are payloads."""
    with file.open("wb") as out:
        for frame in frames:
            written = frame.with_columns(pl.col(pl.Datetime).dt.strftime(RFC_3339_FORMAT))
            if "payload" in frame.columns:
                out.writelines(_results(written))
            else:
                written.write_ndjson(out)
            yield frame.height


FORMATS: dict[str, Callable[[Frames, Path], Iterator[int]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "ndjson": _ndjson,
    "arrow": _arrow,
}


def _tables(first: pa.Table, frames: Frames) -> Iterator[pa.Table]:
    yield first
    yield from map(to_arrow, frames)


def _results(frame: pl.DataFrame) -> Iterator[bytes]:
    """Each result as raw_stats answers it, with the time at which it was received as event_time."""
    columns = frame.select(_EVENT_TIME, "payload", "region", "orchestrator", "job_type")
    for moment, payload, region, orchestrator, job_type in columns.iter_rows():
        result = whole(payload, region, orchestrator, job_type)
        if b'"event_time"' in result:
            # the tester posted a field of this name, or text with it
            yield msgspec.json.encode(_fields.decode(result) | {_EVENT_TIME: moment}) + b"\n"
        else:
            yield b'%b,"event_time":"%b"}\n' % (result[:-1], moment.encode())
