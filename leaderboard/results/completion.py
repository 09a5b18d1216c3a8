"""Completes stored results for ``/api/raw_stats``: each has every field that its job type must have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import msgspec
import polars as pl
from msgspec import Meta, Raw, Struct

from queries import AI, MAX_NUMBER_DIGITS, TRANSCODING

COUNT_FIELDS = frozenset({"timestamp", "segments_sent", "segments_received"})
MAX_NUMBER = 1e100
"""A stored result with a larger number is completed field by field."""
CHUNK_RESULTS = 100
"""Results that are checked at once. If one of them is not complete, each is checked."""


class _Field(NamedTuple):
    """A field that a response always has: its JSON where none was posted, and how its JSON may begin."""

    default: bytes
    first_bytes: bytes


_NUMBER, _TEXT, _LIST, _BOOL = b"-0123456789", b'"', b"[", b"tf"
_NUMBER_FIELD = _Field(b"0", _NUMBER)
_COMMON_FIELDS = {
    "success_rate": _NUMBER_FIELD,
    "round_trip_time": _NUMBER_FIELD,
    "errors": _Field(b"[]", _LIST),
    "timestamp": _NUMBER_FIELD,
}
_FIELDS = {
    TRANSCODING: _COMMON_FIELDS
    | {
        "seg_duration": _NUMBER_FIELD,
        "segments_sent": _NUMBER_FIELD,
        "segments_received": _NUMBER_FIELD,
        "upload_time": _NUMBER_FIELD,
        "download_time": _NUMBER_FIELD,
        "transcode_time": _NUMBER_FIELD,
    },
    AI: _COMMON_FIELDS
    | {"model": _Field(b'""', _TEXT), "model_is_warm": _Field(b"false", _BOOL), "pipeline": _Field(b'""', _TEXT)},
}

_Number = Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]


class _Complete(Struct, gc=False):
    region: str
    orchestrator: str
    success_rate: _Number
    round_trip_time: _Number
    errors: list[Raw]
    timestamp: int


class _CompleteTranscoding(_Complete, gc=False):
    seg_duration: _Number
    segments_sent: int
    segments_received: int
    upload_time: _Number
    download_time: _Number
    transcode_time: _Number


class _CompleteAi(_Complete, gc=False):
    model: str
    model_is_warm: bool
    pipeline: str


_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_complete_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    TRANSCODING: msgspec.json.Decoder(list[_CompleteTranscoding]),
    AI: msgspec.json.Decoder(list[_CompleteAi]),
}


@dataclass(frozen=True)
class JsonByRegion:
    """Chunks of the JSON ``{region: [result, …]}``, in the order of the rows.

    ``frame`` has rows of ``raw_stats``, of one orchestrator and job type. The
    chunks are made when this is iterated, which several threads may do.
    """

    frame: pl.DataFrame
    job_type: str

    def __iter__(self) -> Iterator[bytes]:
        yield b"{"
        by_region = self.frame.partition_by("region", maintain_order=True, as_dict=True)
        for number, ((region,), rows) in enumerate(by_region.items()):
            yield (b"," if number else b"") + msgspec.json.encode(region) + b":"
            separator, payloads, orchestrator = b"[", rows["payload"].to_list(), rows["orchestrator"][0]
            for first in range(0, len(payloads), CHUNK_RESULTS):
                chunk = payloads[first : first + CHUNK_RESULTS]
                yield separator + _complete_chunk(chunk, region, orchestrator, self.job_type)
                separator = b","
            yield b"]"
        yield b"}"


def _complete_chunk(payloads: list[str], region: str, orchestrator: str, job_type: str) -> bytes:
    """The JSON of some results, separated by commas."""
    together = ",".join(payloads).encode()
    # nearly all results are complete, and need not be taken apart
    if _are_complete(together, region, orchestrator, job_type):
        return together
    return b",".join(complete(payload, region, orchestrator, job_type) for payload in payloads)


def _are_complete(payloads: bytes, region: str, orchestrator: str, job_type: str) -> bool:
    """Whether stored payloads (JSON, separated by commas) have all fields that a response has."""
    try:
        results = _complete_decoders[job_type].decode(b"[%b]" % payloads)
    except msgspec.ValidationError:
        return False
    return all(result.region == region and result.orchestrator == orchestrator for result in results)


def result_table(frame: pl.DataFrame, job_type: str) -> pl.DataFrame:
    """The rows of ``raw_stats`` for one job type, with a column for each field that a result always has.

    Columns: event_time, region, orchestrator, the fields (numbers Float64,
    counts Int64, errors String with JSON), and result (String, the complete
    result as JSON).
    """
    stored = frame.select("payload", "region", "orchestrator").iter_rows()
    results = [complete(payload, region, orchestrator, job_type) for payload, region, orchestrator in stored]
    documents = [msgspec.json.decode(result) for result in results]
    columns = [
        _column(name, field, [document[name] for document in documents]) for name, field in _FIELDS[job_type].items()
    ]
    result = pl.Series("result", [result.decode() for result in results], pl.String)
    return frame.select("event_time", "region", "orchestrator").with_columns(*columns, result)


def _column(name: str, field: _Field, values: list[Any]) -> pl.Series:
    if field.first_bytes is _LIST:
        return pl.Series(name, [msgspec.json.encode(value).decode() for value in values], pl.String)
    if field.first_bytes is _NUMBER:
        dtype = pl.Int64 if name in COUNT_FIELDS else pl.Float64
        # no tester posts a count that Int64 cannot hold
        return pl.Series(name, values, dtype, strict=False).fill_null(0)
    return pl.Series(name, values, pl.String if field.first_bytes is _TEXT else pl.Boolean)


def complete(payload: str, region: str, orchestrator: str, job_type: str) -> bytes:
    """The JSON of a stored payload with every field that its job type must have.

    Fields stay as they were posted, to the last digit. A required field gets
    its default where it is missing, or where another program stored it with
    the wrong type.
    """
    if _are_complete(payload.encode(), region, orchestrator, job_type):
        return payload.encode()
    try:
        result = _fields_decoder.decode(payload)
    except msgspec.ValidationError:
        # another program stored something that is not an object
        result = {}
    for name, field in _FIELDS[job_type].items():
        posted = bytes(result.get(name, field.default))
        if posted[0] not in field.first_bytes or (field.first_bytes is _NUMBER and len(posted) >= MAX_NUMBER_DIGITS):
            posted = field.default
        elif name in COUNT_FIELDS:
            # JSONB prints numbers without an exponent
            posted = posted.partition(b".")[0]
        result[name] = Raw(posted)
    return msgspec.json.encode(result | {"region": region, "orchestrator": orchestrator})
