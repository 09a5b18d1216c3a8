"""The one error body of the API."""

import json

ERROR_HEADERS = {
    "Content-Type": "application/json",
    # caches must not store it, and pages of any origin may read it
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
}


def error_body(sentence: str) -> bytes:
    """``{"error": "<one clear sentence>"}``."""
    return json.dumps({"error": sentence}).encode()
