"""The service as it runs in production: gunicorn, over real connections."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboard.results.auth import sign
from tests.conftest import SECRET

PROJECT = Path(__file__).parents[2]
COMMAND = [str(Path(sys.executable).with_name("leaderboard"))]
# what one worker has seen, another one may not have
ONE_WORKER = [*COMMAND, "serve", "--workers", "1"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(**variables: str) -> dict[str, str]:
    """An environment with no settings but these."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    return {name: os.environ[name] for name in kept if name in os.environ} | variables


def command(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """What ``leaderboard`` with these arguments and settings has to say."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass
class Answer:
    """A response, read whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Running:
    """A service in processes of its own. Ends with the ``with`` statement that it is used in."""

    variables: dict[str, str]
    command: list[str] = field(default_factory=lambda: [*COMMAND, "serve"])
    port: int = field(default_factory=free_port)

    def __enter__(self) -> "Running":
        bind = ["--port", str(self.port)] if "serve" in self.command else ["--bind", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [*self.command, *bind],
            env=environment(**{"SECRET": SECRET} | self.variables),
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.wait_until_it_answers()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()
        self.process.stderr.close()

    def wait_until_it_answers(self, seconds: float = 60) -> None:
        """Returns once something listens."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.get("/api/health")
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the service does not start: {self.process.stderr.read()}") from None
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """The exit status after a signal to the master."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def get(self, path: str, **headers: str) -> Answer:
        """The answer to a GET."""
        return self.ask("GET", path, b"", headers)

    def post(self, result: dict[str, Any] | bytes) -> Answer:
        """The answer to a signed result."""
        body = result if isinstance(result, bytes) else json.dumps(result).encode()
        return self.ask("POST", "/api/post_stats", body, {"Authorization": sign(SECRET, body)})

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """The answer to a request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def exchange(self, request: bytes) -> Answer:
        """The answer to these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return Answer(response.status, response.headers, response.read())
