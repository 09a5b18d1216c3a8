"""The service under measurement, as a process of its own."""

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

LEADERBOARD = Path(sys.executable).with_name("leaderboard")


def environment(**settings: str) -> dict[str, str]:
    """The environment with these settings."""
    return os.environ | settings


class Running:
    """The service over a database, in a ``with`` statement; ``workers`` None is its default."""

    def __init__(self, url: str, workers: int | None = None, **settings: str) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self._port = listener.getsockname()[1]
        command = [LEADERBOARD, "serve", "--host", "127.0.0.1", "--port", str(self._port)]
        command += [] if workers is None else ["--workers", str(workers)]
        # an answer is to be had however long it takes
        settings = {"POSTGRES": url, "DB_TIMEOUT": "600"} | settings
        self._process = subprocess.Popen(command, env=environment(**settings), stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._wait("/api/health")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def get(self, path: str) -> int:
        """The bytes of an answer. Raises RuntimeError where it is none, and OSError."""
        return len(self._ask("GET", path))

    def post(self, result: bytes, secret: str) -> None:
        """Returns once a result is stored. Raises as ``get`` does."""
        self._ask("POST", "/api/post_stats", result, {"Authorization": sign(secret, result)})

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port)) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {answer.decode()}")
        return answer

    def first_answer(self, path: str) -> float:
        """Seconds from the start of a new worker, which takes the place of one that is ended, to its first answer."""
        for worker in self._workers():
            worker.terminate()
            worker.wait()
        while not (workers := self._workers()):
            time.sleep(0.001)
        self._wait(path)
        return time.time() - workers[0].create_time()

    def memory(self) -> float:
        """MiB that the largest worker takes."""
        return max(worker.memory_info().rss for worker in self._workers()) / 2**20

    def _workers(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children()

    def _wait(self, path: str) -> None:
        for _ in range(6000):
            try:
                self.get(path)
                return
            except (OSError, http.client.HTTPException):
                if self._process.poll() is not None:
                    break
                time.sleep(0.01)
        raise RuntimeError("the service does not start")
