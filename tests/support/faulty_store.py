"""A proxy before an S3 server that can be made silent, slow, refusing or wrong."""

import http.client
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

NO_SUCH_BUCKET = b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>"
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>denied</Message></Error>"
LOGIN_PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class FaultyStore:
    """Forwards requests to the server at ``port``, unless ``fault`` is set: a key of FAULTS.

    It stops at the end of the ``with`` statement.
    """

    def __init__(self, port: int) -> None:
        self.upstream_port = port
        self.fault: str | None = None
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    store: FaultyStore


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Keeps quiet."""

    def do_GET(self) -> None:
        """Answers, or misbehaves."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.store.fault
        if fault is None:
            self._forward(body)
        else:
            FAULTS[fault](self)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  http.server looks for these names

    def answer(self, status: int, content: bytes, media_type: str = "application/xml") -> None:
        """Sends a whole response."""
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def trickle(self) -> None:
        """Sends a response byte by byte, and never all of it."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.server.store.ended.wait(0.2):
            self.wfile.write(b"{")

    def cut(self) -> None:
        """Closes the connection without a response."""
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def wait(self) -> None:
        """Says nothing."""
        self.server.store.ended.wait()

    def _forward(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.store.upstream_port, timeout=60)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            response = upstream.getresponse()
            content = response.read()
        finally:
            upstream.close()
        self.send_response(response.status)
        length = response.headers["Content-Length"] if self.command == "HEAD" else str(len(content))
        for name, value in response.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)


FAULTS: dict[str, Callable[[_Handler], None]] = {
    "silent": _Handler.wait,
    "slow": _Handler.trickle,
    "cut": _Handler.cut,
    "denied": lambda handler: handler.answer(403, DENIED),
    "no bucket": lambda handler: handler.answer(404, NO_SUCH_BUCKET),
    "an error": lambda handler: handler.answer(500, b""),
    "a web page": lambda handler: handler.answer(200, LOGIN_PAGE, "text/html"),
    "garbage": lambda handler: handler.answer(200, bytes(range(256)) * 10, "application/octet-stream"),
}
"""What a store that does not work does with a request."""
