"""Checks posted results. A refusal is one sentence that names the field."""

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from queries import AI, MAX_MEASURE, TRANSCODING
from queries.errors import shorten

Measure = Annotated[float, Meta(ge=0, le=MAX_MEASURE)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# PostgreSQL indexes these, and an index entry holds at most 2,704 bytes
Name = Annotated[str, Meta(max_length=512)]

MAX_RESULT_BYTES = 1 << 20
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
MAX_EXPONENT = 100
"""Of any number in a result. PostgreSQL writes out every zero, and a float8 goes no further than 1e308."""
MAX_DEPTH = 100
"""How deep a result may be nested. It is less than PostgreSQL and any JSON reader take."""


class InvalidResult(ValueError):
    """A posted result that cannot be stored. The message names the field."""


class UnknownRegion(InvalidResult):
    """A posted result whose region is not registered for its job type, or retired.

    ``region`` is the code as it was posted, empty where nobody can tell.
    """

    def __init__(self, message: str, region: str = "", job_type: str = "") -> None:
        super().__init__(message)
        self.region = region
        self.job_type = job_type


class ErrorCount(Struct):
    """How many times a job met an error."""

    error_code: str = ""
    message: str = ""
    count: Count = 0


class Result(Struct):
    """The known fields of a posted result. Times are in seconds, the timestamp in unix seconds."""

    region: str
    orchestrator: str
    success_rate: Measure = 0.0
    round_trip_time: Measure = 0.0
    errors: list[ErrorCount] | None = None
    timestamp: Count = 0
    seg_duration: Measure = 0.0
    upload_time: Measure = 0.0
    download_time: Measure = 0.0
    transcode_time: Measure = 0.0
    segments_sent: Count = 0
    segments_received: Count = 0
    model: Name = ""
    pipeline: Name = ""
    input_parameters: str = ""
    response_payload: str = ""
    model_is_warm: bool = False

    @property
    def job_type(self) -> str:
        """``ai`` where the result names both a model and a pipeline, else ``transcoding``."""
        return AI if self.model and self.pipeline else TRANSCODING


def parse(body: bytes) -> Result:
    """The result in the body of a request. Raises InvalidResult."""
    document = _decode(body)
    if not isinstance(document, dict):
        raise InvalidResult("the body must be a JSON object")
    if reason := _reason_not_storable(document):
        raise InvalidResult(reason)
    try:
        result = msgspec.convert(document, Result)
    except msgspec.ValidationError as error:
        raise InvalidResult(_to_sentence(str(error))) from None
    if not ADDRESS.fullmatch(result.orchestrator):
        raise InvalidResult("orchestrator must be an address, 0x and 40 hexadecimal digits")
    return result


def _parse_number(text: str) -> float:
    """The number, or NaN where PostgreSQL cannot store it. JSON itself has no NaN."""
    mantissa, _, exponent = text.lower().partition("e")
    value = float(text)
    if abs(int(exponent or 0)) > MAX_EXPONENT or (value == 0 and mantissa.strip("-0.")):
        return math.nan
    return value


_decoder = msgspec.json.Decoder(float_hook=_parse_number)


def _decode(body: bytes) -> object:
    try:
        body.decode()
        return _decoder.decode(body)
    except UnicodeDecodeError:
        raise InvalidResult("the body must be JSON in UTF-8") from None
    except RecursionError:
        raise InvalidResult("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        # the standard library accepts NaN, Infinity and half surrogate pairs, so the sentence can name their field
        try:
            reason = _reason_not_storable(json.loads(body))
        except (ValueError, RecursionError):
            reason = None
        malformed = str(error).removeprefix("JSON is malformed: ")
        raise InvalidResult(reason or f"the body must be a JSON object: {malformed}") from None


def _reason_not_storable(document: object) -> str | None:
    """A sentence about the first name or value that PostgreSQL cannot store, or None."""
    for leaf in _leaves(document):
        path, value = leaf.path, leaf.value
        # as JSON writes it
        name = shorten(path.replace("\0", "\\u0000"))
        if leaf.depth > MAX_DEPTH:
            return f"{name.partition('.')[0].partition('[')[0]} is nested too deeply"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} must be a finite number, 0 or between 1e-{MAX_EXPONENT} and 1e{MAX_EXPONENT}"
        texts = (path, value) if isinstance(value, str) else (path,)
        for text in texts:
            if "\0" in text:
                return f"{name} must not contain the character NUL, which PostgreSQL cannot store"
            if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                return f"{name} must be text that UTF-8 can hold"
    return None


class _Leaf(NamedTuple):
    path: str
    value: object
    depth: int


def _leaves(document: object) -> Iterator[_Leaf]:
    """Every value without values inside it, and every value below MAX_DEPTH, which is not searched further."""
    stack = [_Leaf("", document, 0)]
    while stack:
        leaf = stack.pop()
        path, value, depth = leaf
        if isinstance(value, dict) and value and depth <= MAX_DEPTH:
            stack += [_Leaf(f"{path}.{key}" if path else key, inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list) and value and depth <= MAX_DEPTH:
            stack += [_Leaf(f"{path}[{index}]", inner, depth + 1) for index, inner in enumerate(value)]
        else:
            yield leaf


_MSGSPEC_WORDS = {
    "Expected": "must be",
    "got": "not",
    "`float` >=": "a number of at least",
    "`float` <=": "a number of at most",
    "`int` >=": "an integer of at least",
    "`int` <=": "an integer of at most",
    "`str` of length <=": "a string of a length of at most",
    "Number out of range": "must be a finite number",
    "Integer value out of range": "must be a smaller integer",
    "`float`": "a number",
    "`int`": "an integer",
    "`str`": "a string",
    "`bool`": "true or false",
    "`array | null`": "a list",
    "`array`": "a list",
    "`object`": "an object",
    "`null`": "null",
}
"""What msgspec writes in its messages, and what the service's sentences say instead."""


def _to_sentence(message: str) -> str:
    """A message of msgspec as a sentence that begins with the field."""
    if match := re.search("missing required field `(.+?)`", message):
        return f"{match[1]} is required"
    reason, _, path = message.partition(" - at `$")
    field = path.rstrip("`").removeprefix(".") or "the body"
    for original, words in _MSGSPEC_WORDS.items():
        reason = reason.replace(original, words)
    return f"{field} {reason}"
