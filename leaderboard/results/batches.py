"""Many results in one body: a JSON array of them, or one on each line."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from leaderboard.results.validation import MAX_BODY, InvalidResult

T = TypeVar("T")

NDJSON = "application/x-ndjson"
MOST_RESULTS = 10_000
MAX_BATCH = 16 << 20
"""Bytes of the largest batch that is taken."""

_elements = msgspec.json.Decoder(list[msgspec.Raw])


def split(body: bytes, mimetype: str) -> list[bytes] | None:
    """The results of a batch, each as it was posted; None where the body is one result.

    Raises InvalidResult for a batch that cannot be taken apart, has no result
    or more than MOST_RESULTS.
    """
    if mimetype == NDJSON:
        results = [line for line in body.split(b"\n") if line.strip()]
    elif body.lstrip()[:1] == b"[":
        try:
            results = [bytes(element) for element in _elements.decode(body)]
        except (msgspec.DecodeError, RecursionError) as error:
            reason = str(error).removeprefix("JSON is malformed: ")
            raise InvalidResult(f"the body must be a JSON array of results: {reason}") from None
    else:
        return None
    if not 0 < len(results) <= MOST_RESULTS:
        raise InvalidResult(f"the body must be 1 to {MOST_RESULTS} results, not {len(results)}")
    return results


def within_batch(number: int, call: Callable[..., T], body: bytes, *arguments: object) -> T:
    """What ``call(body, *arguments)`` returns of one result; what is wrong with it is told with its number, from 0."""
    try:
        if len(body) > MAX_BODY:
            raise InvalidResult(f"is larger than {MAX_BODY} bytes")
        return call(body, *arguments)
    except InvalidResult as error:
        raise InvalidResult(f"results[{number}]: {error}") from None
