"""The service as it runs in production: gunicorn, over real connections."""

import http.client
import json
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from leaderboard.results.auth import sign
from tests.support.commands import LEADERBOARD, PROJECT, environment
from tests.support.waiting import eventually

SECRET = "my-secret-key"
# what one worker has seen, another one may not have
ONE_WORKER = [*LEADERBOARD, "serve", "--workers", "1"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass
class HttpResponse:
    """A response whose body has been read."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class RunningService:
    """A service in processes of its own, which stop at the end of the ``with`` statement."""

    settings: dict[str, str]
    command: list[str] = field(default_factory=lambda: [*LEADERBOARD, "serve"])
    port: int = field(default_factory=free_port)
    cwd: Path = PROJECT

    def __enter__(self) -> Self:
        bind = ["--port", str(self.port)] if "serve" in self.command else ["--bind", f"127.0.0.1:{self.port}"]
        if "PORT" in self.settings:
            bind, self.port = [], int(self.settings["PORT"])
        self.process = subprocess.Popen(
            [*self.command, *bind],
            env=environment(**{"SECRET": SECRET, "LAKE_SYNC_INTERVAL": "0"} | self.settings),
            cwd=self.cwd,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self.process.stderr.close()

    def wait_until_ready(self) -> None:
        """Returns once a worker responds."""
        eventually(self._responds)

    def _responds(self) -> bool:
        try:
            self.get("/api/health")
        except OSError:
            assert self.process.poll() is None, f"the service does not start: {self.process.stderr.read()}"
            return False
        return True

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Sends the signal to the master and returns its exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(60)

    def get(self, path: str, **headers: str) -> HttpResponse:
        """Sends a GET."""
        return self.request("GET", path, b"", headers)

    def post(self, result: dict[str, Any] | bytes) -> HttpResponse:
        """Posts a result with its signature."""
        body = result if isinstance(result, bytes) else json.dumps(result).encode()
        return self.request("POST", "/api/post_stats", body, {"Authorization": sign(SECRET, body)})

    def request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> HttpResponse:
        """Sends a request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return HttpResponse(response.status, response.headers, response.read())
        finally:
            connection.close()

    def send_bytes(self, request: bytes) -> HttpResponse:
        """Sends exactly these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return HttpResponse(response.status, response.headers, response.read())
