"""A service whose responses say how many requests it had received, with the headers that a request asks for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LONG_AGO = "Sat, 01 Aug 2026 00:00:00 GMT"
KEPT = "public, max-age=30, stale-while-revalidate=15"
"""The Cache-Control of responses, unless the query string has another one."""


class CountingService(ThreadingHTTPServer):
    """Responds to any request with a JSON object: its number, its method, path, headers and body.

    Each parameter of the query string whose name begins with a capital is a
    header of the response, or none of them if it is empty. ``status`` is its
    status, and ``cut`` ends the connection within the body.
    """

    request_queue_size = 1000

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = 0
        self._lock = Lock()

    def count(self) -> int:
        """Counts a request, and returns how many there were."""
        with self._lock:
            self.requests += 1
            return self.requests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # head and body in one packet
    wbufsize = -1
    server: CountingService

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def _respond(self) -> None:
        received = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        document: dict[str, Any] = {
            "number": self.server.count(),
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": received.decode(),
        }
        body = json.dumps(document).encode()
        headers = {"Date": LONG_AGO, "Cache-Control": KEPT, "Content-Length": str(len(body))}
        headers |= {name: value for name, value in parameters.items() if name[0].isupper()}
        self.send_response_only(int(parameters.get("status", 200)))
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if "cut" in parameters:
            self.wfile.write(b"%x\r\n" % len(body) if "Transfer-Encoding" in headers else b"")
            self.wfile.write(body[:10])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing, since standard error is for failures."""


@contextmanager
def counting_service() -> Iterator[CountingService]:
    """A running CountingService."""
    with CountingService() as service:
        thread = Thread(target=service.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
