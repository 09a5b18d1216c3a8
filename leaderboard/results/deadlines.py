"""Until when a post is decided."""

from leaderboard.results.validation import MAX_RESULT_BYTES

POST_DEADLINE_SECONDS = 7.0
"""From the request to the response. A tester waits 8 s, and never asks again."""


def post_deadline(began: float, arrived: float, body_bytes: int) -> float:
    """The moment by which a post is decided. All moments are of time.monotonic().

    ``began`` is when the request came, and ``arrived`` when the whole body
    was there. Only a batch has a body larger than a result may be; it may
    take longer to arrive, and its time begins then.
    """
    return (began if body_bytes <= MAX_RESULT_BYTES else arrived) + POST_DEADLINE_SECONDS
