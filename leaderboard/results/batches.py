"""Batches: many results in one body, as a JSON array or with one result on each line."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from leaderboard.results.validation import MAX_RESULT_BYTES, InvalidResult

T = TypeVar("T")

NDJSON = "application/x-ndjson"
MAX_BATCH_RESULTS = 10_000
MAX_BATCH_BYTES = 16 << 20

_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def split(body: bytes, mimetype: str) -> list[bytes] | None:
    """The results of a batch, each as it was posted. None where the body is a single result.

    Raises InvalidResult where the batch cannot be split, or has no result or
    more than MAX_BATCH_RESULTS.
    """
    if mimetype == NDJSON:
        results = [line for line in body.split(b"\n") if line.strip()]
    elif body.lstrip()[:1] == b"[":
        try:
            results = [bytes(element) for element in _array_decoder.decode(body)]
        except (msgspec.DecodeError, RecursionError) as error:
            reason = str(error).removeprefix("JSON is malformed: ")
            raise InvalidResult(f"the body must be a JSON array of results: {reason}") from None
    else:
        return None
    if not 0 < len(results) <= MAX_BATCH_RESULTS:
        raise InvalidResult(f"the body must be 1 to {MAX_BATCH_RESULTS} results, not {len(results)}")
    return results


def parse_each(parse: Callable[[bytes], T], bodies: list[bytes]) -> list[T]:
    """``parse`` of each result of a batch. The first InvalidResult names the result's index, from 0."""
    return [_parse_one(parse, index, body) for index, body in enumerate(bodies)]


def _parse_one(parse: Callable[[bytes], T], index: int, body: bytes) -> T:
    if len(body) > MAX_RESULT_BYTES:
        raise InvalidResult(f"results[{index}]: is larger than {MAX_RESULT_BYTES} bytes")
    try:
        return parse(body)
    except InvalidResult as error:
        raise type(error)(f"results[{index}]: {error}") from None
