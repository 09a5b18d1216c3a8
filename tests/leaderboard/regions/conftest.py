"""A server of the catalyst document."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import sample


class CatalystServer:
    """Serves the document with ``respond``, which tests replace, and counts the requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.respond: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                outer.respond(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/catalysts.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def serve_document(self, document: object) -> None:
        self.serve_body(json.dumps(document).encode())

    def serve_body(self, body: bytes, status: int = 200) -> None:
        def respond(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.end_headers()
            handler.wfile.write(body)

        self.respond = respond

    def close(self) -> None:
        """Stops the server. A second call does nothing."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def catalyst() -> Iterator[CatalystServer]:
    server = CatalystServer()
    server.serve_document(sample("catalysts-shape.json"))
    yield server
    server.close()
