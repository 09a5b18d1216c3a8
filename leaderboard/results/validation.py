"""Whether a posted result can be taken, and if not, the sentence that says why."""

import json
import math
import re
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from queries import AI, MAX_MEASURE, TRANSCODING

Measure = Annotated[float, Meta(ge=0, le=MAX_MEASURE)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# PostgreSQL indexes them, and an entry of an index holds 2,704 bytes
Name = Annotated[str, Meta(max_length=512)]

MAX_BODY = 1 << 20
"""Bytes of the largest result that is taken."""
ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
LARGEST_EXPONENT = 100
"""Of any number in a result: PostgreSQL writes out every zero, and no further than float8 goes."""


LARGEST_DEPTH = 100
"""How deep a result may be nested; below what PostgreSQL and any JSON reader take."""


class InvalidResult(ValueError):
    """A posted result that cannot be taken; the message names the field."""


class ErrorCount(Struct):
    """How often a job met with one error."""

    error_code: str = ""
    message: str = ""
    count: Count = 0


class Result(Struct):
    """The fields of a posted result; times are seconds, the timestamp is unix seconds. Others are kept unread."""

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
    """The result in a request's body. Raises InvalidResult, one sentence that names the field."""
    document = _decode(body)
    if not isinstance(document, dict):
        raise InvalidResult("the body must be a JSON object")
    if misfit := _misfit(document):
        raise InvalidResult(misfit)
    try:
        result = msgspec.convert(document, Result)
    except msgspec.ValidationError as error:
        raise InvalidResult(_sentence(str(error))) from None
    if not ADDRESS.fullmatch(result.orchestrator):
        raise InvalidResult("orchestrator must be an address, 0x and 40 hexadecimal digits")
    return result


_decoder = msgspec.json.Decoder(float_hook=lambda text: _number(text))


def _decode(body: bytes) -> object:
    """The document; a number that cannot be kept is NaN in it, which no JSON number is."""
    try:
        body.decode()
        return _decoder.decode(body)
    except UnicodeDecodeError:
        raise InvalidResult("the body must be JSON in UTF-8") from None
    except RecursionError:
        raise InvalidResult("the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        # the standard library reads NaN, Infinity and half characters, so that their field can be named
        try:
            misfit = _misfit(json.loads(body))
        except (ValueError, RecursionError):
            misfit = None
        reason = str(error).removeprefix("JSON is malformed: ")
        raise InvalidResult(misfit or f"the body must be a JSON object: {reason}") from None


def _number(text: str) -> float:
    mantissa, _, exponent = text.lower().partition("e")
    value = float(text)
    if abs(int(exponent or 0)) > LARGEST_EXPONENT or (value == 0 and mantissa.strip("-0.")):
        return math.nan
    return value


def _misfit(document: object) -> str | None:
    """The sentence for the first value or name that PostgreSQL cannot store."""
    for path, value, depth in _leaves(document):
        if depth > LARGEST_DEPTH:
            return f"{path.partition('.')[0].partition('[')[0]} is nested too deeply"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{path} must be a finite number, 0 or between 1e-{LARGEST_EXPONENT} and 1e{LARGEST_EXPONENT}"
        texts = (path, value) if isinstance(value, str) else (path,)
        for text in texts:
            if "\0" in text:
                name = path.replace("\0", "\\u0000")
                return f"{name} must not contain the character NUL, which PostgreSQL cannot store"
            if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                name = path.encode("utf-8", "backslashreplace").decode()
                return f"{name} must be text that UTF-8 can hold"
    return None


def _leaves(document: object) -> Iterator[tuple[str, object, int]]:
    """Every value that holds no others, or none that is looked into, with its path and how deep it lies."""
    left = [("", document, 0)]
    while left:
        path, value, depth = left.pop()
        if isinstance(value, dict) and value and depth <= LARGEST_DEPTH:
            left += [(f"{path}.{key}" if path else key, inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list) and value and depth <= LARGEST_DEPTH:
            left += [(f"{path}[{index}]", inner, depth + 1) for index, inner in enumerate(value)]
        else:
            yield path, value, depth


_WORDS = {
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


def _sentence(message: str) -> str:
    """Msgspec's message about a field as one sentence that begins with the field."""
    if match := re.search("missing required field `(.+?)`", message):
        return f"{match[1]} is required"
    what, _, path = message.partition(" - at `$")
    field = path.rstrip("`").removeprefix(".") or "the body"
    for name, words in _WORDS.items():
        what = what.replace(name, words)
    return f"{field} {what}"
