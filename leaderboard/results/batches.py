"""Batches: many results in one body, as a JSON array or with one result on each line."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from leaderboard.results.validation import MAX_RESULT_BYTES, InvalidResult

T = TypeVar("T")
U = TypeVar("U")

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


def convert_each(convert: Callable[[T], U], results: Iterable[T]) -> list[U]:
    """``convert`` of each result of a batch. The first InvalidResult names the result's index, from 0."""
    converted = []
    for index, result in enumerate(results):
        try:
            converted.append(convert(result))
        except InvalidResult as error:
            error.args = (f"results[{index}]: {error}",)
            raise
    return converted


def check_size(body: bytes) -> bytes:
    """The body of a result of a batch. Raises InvalidResult where it is larger than a result may be."""
    if len(body) > MAX_RESULT_BYTES:
        raise InvalidResult(f"is larger than {MAX_RESULT_BYTES} bytes")
    return body
