"""Stored results as NDJSON: each line is a result as raw_stats answers it, and when it was received."""

from typing import BinaryIO

import msgspec
import polars as pl
from msgspec import Raw

from leaderboard.export.datasets import Frames
from leaderboard.results.completion import complete
from queries.times import RFC_3339_FORMAT

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


def write_result_lines(frames: Frames, out: BinaryIO) -> int:
    """Writes frames of RESULT_COLUMNS and returns how many results they have."""
    results = 0
    for frame in frames:
        received = pl.col("event_time").dt.strftime(RFC_3339_FORMAT)
        columns = frame.select(received, "payload", "region", "orchestrator", "job_type")
        out.writelines(_result_line(*row) for row in columns.iter_rows())
        results += frame.height
    return results


def _result_line(event_time: str, payload: str, region: str, orchestrator: str, job_type: str) -> bytes:
    result = complete(payload, region, orchestrator, job_type)
    if b'"event_time"' in result:
        # the tester posted a field of this name, or text that contains it
        return msgspec.json.encode(_decode_fields(result) | {"event_time": event_time}) + b"\n"
    return b'%b,"event_time":"%b"}\n' % (result[:-1], event_time.encode())
