"""Reads regions from the network's own list of sites, the JSON document at CATALYST_REGION_URL."""

import contextlib
import http.client
import socket
import urllib.error
import urllib.request

import msgspec

from leaderboard.regions.codes import is_code, is_display_name
from leaderboard.regions.region_table import RegionKey
from queries import AI, TRANSCODING
from queries.concurrency import call_with_timeout
from queries.errors import StoreTimeout, first_line

TIMEOUT_SECONDS = 3.0
"""For the whole document. A tester waits 8 s for its response."""
MAX_DOCUMENT_BYTES = 1 << 20


class CatalystError(Exception):
    """The document cannot be fetched or read."""


class Site(msgspec.Struct):
    """The part of the document that is used: display names by code, of transcoding and of AI regions.

    Codes are in any case. The network's own document has no AI regions.
    """

    full_name: dict[str, str] = {}
    ai: dict[str, str] = {}


class Sites(msgspec.Struct):
    """The document."""

    prod: Site


def read_regions(url: str, timeout: float = TIMEOUT_SECONDS) -> dict[RegionKey, str]:
    """Display names by code in upper case and job type. ``timeout`` is in seconds. Raises CatalystError.

    Regions that cannot be registered are left out.
    """
    sockets: list[socket.socket] = []
    try:
        # urllib's timeout starts again with each byte, so a slow server could take for ever
        document = call_with_timeout(timeout, _fetch, url, timeout, sockets)
        sites = msgspec.json.decode(document, type=Sites)
    except (OSError, http.client.HTTPException, StoreTimeout, ValueError, RecursionError) as error:
        raise CatalystError(f"{type(error).__name__}: {first_line(error)}") from error
    finally:
        # this ends a fetch that still goes on
        for opened in sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
    names = {TRANSCODING: sites.prod.full_name, AI: sites.prod.ai}
    return {
        (code.upper(), job_type): name
        for job_type, by_code in names.items()
        for code, name in by_code.items()
        if is_code(code) and is_display_name(name)
    }


def _fetch(url: str, timeout: float, sockets: list[socket.socket]) -> bytes:
    """The document. Adds each socket that it opens to ``sockets``."""

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class SecureConnection(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.append(self.sock)

    class Handler(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Connection, request)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(SecureConnection, request)

    opener = urllib.request.build_opener(Handler, SecureHandler)
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "leaderboard"})
    try:
        with opener.open(request, timeout=timeout) as response:
            document: bytes = response.read(MAX_DOCUMENT_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise CatalystError(f"{error.code} {error.reason}") from None
    if len(document) > MAX_DOCUMENT_BYTES:
        raise CatalystError(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
    return document
