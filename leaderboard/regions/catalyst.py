"""Regions named by the network's own list of sites, the JSON document behind CATALYST_REGION_URL."""

import http.client
import urllib.error
import urllib.request

import msgspec

from queries import StoreTimeout
from queries.concurrency import call_with_timeout

TIMEOUT = 3.0
"""Seconds for the whole document; a tester waits eight for its answer."""
LARGEST = 1 << 20
LONGEST_NAME, LONGEST_DISPLAY_NAME = 56, 128


class CatalystError(Exception):
    """The document cannot be had or read."""


class Site(msgspec.Struct):
    """The part of the document that counts: code, in any case, to display name."""

    full_name: dict[str, str] = {}


class Sites(msgspec.Struct):
    """The document."""

    prod: Site


def read_regions(url: str) -> dict[str, str]:
    """Code, in upper case, to display name. Raises CatalystError."""
    try:
        # a server may drip its headers as well as its body, so the time is taken from outside
        sites = msgspec.json.decode(call_with_timeout(TIMEOUT, _read, url), type=Sites)
    except (OSError, http.client.HTTPException, StoreTimeout, ValueError, RecursionError) as error:
        raise CatalystError(f"{type(error).__name__}: {error}") from error
    return {
        code.upper(): name
        for code, name in sites.prod.full_name.items()
        if 0 < len(code.upper()) <= LONGEST_NAME and len(name) <= LONGEST_DISPLAY_NAME and "\0" not in code + name
    }


def _read(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "leaderboard"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            document = response.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise CatalystError(f"{error.code} {error.reason}") from None
    if len(document) > LARGEST:
        raise CatalystError(f"the document is larger than {LARGEST} bytes")
    return document
