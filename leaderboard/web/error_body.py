"""The one error body."""

import json

ERROR_HEADERS = {
    "Content-Type": "application/json",
    # no cache may keep it, and any page may read it
    "Cache-Control": "no-store",
    "Access-Control-Allow-Origin": "*",
}


def error_body(sentence: str) -> bytes:
    """``{"error": "<one clear sentence>"}``."""
    return json.dumps({"error": sentence}).encode()
