"""The one error body of the API."""

import json

from queries.errors import shorten

ERROR_HEADERS = {
    "Content-Type": "application/json",
    # caches must not store it, and pages of any origin may read it
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
}


MAX_SENTENCE_CHARACTERS = 500


def error_body(sentence: str) -> bytes:
    """``{"error": "<one clear sentence>"}``. The sentence is cut if it is long, whatever it repeats."""
    return json.dumps({"error": shorten(sentence, MAX_SENTENCE_CHARACTERS)}).encode()
