"""Reads results from a file: one on each line, one over several lines, or a JSON array of them."""

import codecs
import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import chain
from typing import BinaryIO, NamedTuple

import msgspec

from leaderboard.results.validation import MAX_RESULT_BYTES

_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class NumberedResult(NamedTuple):
    """A result in a file. ``number`` is its line, or in an array its position; both count from 1."""

    number: int
    body: bytes


def read_results(file: BinaryIO) -> Iterator[NumberedResult]:
    """The results in a file. Skips empty lines and a byte-order mark. No body contains a line break.

    Reads line by line, so that a pipe can be followed. Only a file that begins
    with an array is read whole.
    """
    first = file.readline().removeprefix(codecs.BOM_UTF8)
    if first.lstrip()[:1] == b"[":
        text = first + file.read()
        elements = _split_array(text)
        return _number(BytesIO(text) if elements is None else elements)
    if not first.strip() or _is_json(first):
        return _number(chain([first], file))
    # perhaps one result over several lines; one that is longer than this would be refused
    text = first + file.read(MAX_RESULT_BYTES) + file.readline()
    if _is_json(text):
        return _number([text])
    return _number(chain(BytesIO(text), file))


def _number(bodies: Iterable[bytes]) -> Iterator[NumberedResult]:
    for number, body in enumerate(bodies, 1):
        if text := body.strip():
            # JSON has line breaks between its parts only, where a space means the same
            yield NumberedResult(number, text.replace(b"\n", b" "))


def _split_array(text: bytes) -> list[bytes] | None:
    try:
        return [bytes(element) for element in _array_decoder.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
