"""What is answered of a stored result: what was posted, made whole."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import polars as pl
from msgspec import Meta, Raw, Struct

from queries import AI, MAX_NUMBER_DIGITS, TRANSCODING

COUNTS = frozenset({"timestamp", "segments_sent", "segments_received"})

_NUMBER, _TEXT, _LIST, _BOOL = b"-0123456789", b'"', b"[", b"tf"
_ALWAYS = {
    "success_rate": (b"0", _NUMBER),
    "round_trip_time": (b"0", _NUMBER),
    "errors": (b"[]", _LIST),
    "timestamp": (b"0", _NUMBER),
}
_CARRIED = {
    TRANSCODING: _ALWAYS
    | {
        "seg_duration": (b"0", _NUMBER),
        "segments_sent": (b"0", _NUMBER),
        "segments_received": (b"0", _NUMBER),
        "upload_time": (b"0", _NUMBER),
        "download_time": (b"0", _NUMBER),
        "transcode_time": (b"0", _NUMBER),
    },
    AI: _ALWAYS | {"model": (b'""', _TEXT), "model_is_warm": (b"false", _BOOL), "pipeline": (b'""', _TEXT)},
}
"""What a result of each job type always carries: its JSON where none was posted, and how its JSON may begin."""

LARGEST = 1e100
"""Of the numbers of a result that is answered as it is stored."""
PART = 1000
"""Results in one part of an answer."""

_fields = msgspec.json.Decoder(dict[str, Raw])

_Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]


class _Whole(Struct):
    region: str
    orchestrator: str
    success_rate: _Number
    round_trip_time: _Number
    errors: list[Raw]
    timestamp: int


class _WholeTranscoding(_Whole):
    seg_duration: _Number
    segments_sent: int
    segments_received: int
    upload_time: _Number
    download_time: _Number
    transcode_time: _Number


class _WholeAi(_Whole):
    model: str
    model_is_warm: bool
    pipeline: str


_whole = {TRANSCODING: msgspec.json.Decoder(_WholeTranscoding), AI: msgspec.json.Decoder(_WholeAi)}


def by_region(frame: pl.DataFrame, job_type: str) -> Iterator[bytes]:
    """The rows of raw_stats, of one job type, as the JSON of ``{region: [result, …]}``, in parts, in their order."""
    yield b"{"
    for number, rows in enumerate(frame.partition_by("region", maintain_order=True)):
        yield (b"," if number else b"") + msgspec.json.encode(rows["region"][0]) + b":"
        separator = b"["
        for part in rows.iter_slices(PART):
            yield separator + b",".join(
                whole(payload, region, orchestrator, job_type) for region, orchestrator, payload, _ in part.iter_rows()
            )
            separator = b","
        yield b"]"
    yield b"}"


def table(frame: pl.DataFrame, job_type: str) -> pl.DataFrame:
    """The rows of raw_stats, of one job type, with a column for each field that a result always carries.

    Columns: event_time, region, orchestrator, the fields (numbers Float64,
    counts Int64, errors String, as JSON), result (String, all of it as JSON).
    """
    answered = [whole(*row, job_type) for row in frame.select("payload", "region", "orchestrator").iter_rows()]
    documents = [msgspec.json.decode(result) for result in answered]
    columns = [
        _column(field, kind, [document[field] for document in documents])
        for field, (_, kind) in _CARRIED[job_type].items()
    ]
    result = pl.Series("result", [result.decode() for result in answered], pl.String)
    return frame.select("event_time", "region", "orchestrator").with_columns(*columns, result)


def _column(field: str, kind: bytes, values: list[Any]) -> pl.Series:
    if kind is _LIST:
        return pl.Series(field, [msgspec.json.encode(value).decode() for value in values], pl.String)
    if kind is _NUMBER:
        dtype = pl.Int64 if field in COUNTS else pl.Float64
        # a count that no integer of this size holds is none that a tester posted
        return pl.Series(field, values, dtype, strict=False).fill_null(0)
    return pl.Series(field, values, pl.String if kind is _TEXT else pl.Boolean)


def whole(payload: str, region: str, orchestrator: str, job_type: str) -> bytes:
    """A stored payload as it is answered, as JSON.

    Every field is as posted, to the last digit. One that its job type always
    carries is filled in where it is absent or, in a row that somebody else
    wrote, of another type.
    """
    try:
        stored = _whole[job_type].decode(payload)
        # nearly all are whole, and are not taken apart
        if stored.region == region and stored.orchestrator == orchestrator:
            return payload.encode()
    except msgspec.ValidationError:
        pass
    try:
        result: dict[str, Raw | str] = _fields.decode(payload)
    except msgspec.ValidationError:
        # a row of somebody else's that is no JSON object
        result = {}
    for field, (absent, beginnings) in _CARRIED[job_type].items():
        posted = bytes(result.get(field, absent))
        if posted[0] not in beginnings or (beginnings is _NUMBER and len(posted) >= MAX_NUMBER_DIGITS):
            posted = absent
        elif field in COUNTS:
            # JSONB tells a number in plain digits
            posted = posted.partition(b".")[0]
        result[field] = Raw(posted)
    return msgspec.json.encode(result | {"region": region, "orchestrator": orchestrator})
