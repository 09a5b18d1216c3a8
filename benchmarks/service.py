"""The service under measurement, in processes of its own."""

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Self

import psutil

from leaderboard.results.auth import sign

LEADERBOARD = str(Path(sys.executable).with_name("leaderboard"))
START_TIMEOUT_SECONDS = 60


def environment(**settings: str) -> dict[str, str]:
    """The environment of this process with these settings."""
    return os.environ | settings


class MeasuredService:
    """The service over a database, for a ``with`` statement; without ``workers`` it runs its default number."""

    def __init__(self, url: str, workers: int | None = None, **settings: str) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self._port = listener.getsockname()[1]
        command = [LEADERBOARD, "serve", "--host", "127.0.0.1", "--port", str(self._port)]
        command += [] if workers is None else ["--workers", str(workers)]
        # slow responses are measured too
        settings = {"POSTGRES": url, "DB_TIMEOUT": "600"} | settings
        self._process = subprocess.Popen(command, env=environment(**settings), stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._wait_for("/api/health")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def get(self, path: str) -> int:
        """The size of a response in bytes. Raises RuntimeError if its status is not 200, and OSError."""
        return len(self._request("GET", path))

    def post(self, result: bytes, secret: str) -> None:
        """Returns once a result is stored. Raises as ``get`` does."""
        self._request("POST", "/api/post_stats", result, {"Authorization": sign(secret, result)})

    def first_response_seconds(self, path: str) -> float:
        """Seconds from the start of a new worker, which replaces a stopped one, to its first response."""
        for worker in self._workers():
            worker.terminate()
            worker.wait()
        while not (workers := self._workers()):
            time.sleep(0.001)
        self._wait_for(path)
        return time.time() - float(workers[0].create_time())

    def memory_mib(self) -> float:
        """The memory of the largest worker in MiB."""
        return max(float(worker.memory_info().rss) for worker in self._workers()) / 2**20

    def cpu_seconds(self) -> float:
        """The CPU time that the workers have taken so far."""
        times = [worker.cpu_times() for worker in self._workers()]
        return sum(float(one.user + one.system) for one in times)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port)) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{path}: {response.status} {content.decode()}")
        return content

    def _workers(self) -> list[psutil.Process]:
        return list(psutil.Process(self._process.pid).children())

    def _wait_for(self, path: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.get(path)
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
        raise RuntimeError("the service does not start")
