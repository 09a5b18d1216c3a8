"""The service under measurement, in processes of its own."""

import http.client
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

import psutil

from benchmarks.trust.processes.service import free_port
from leaderboard.results.auth import sign

LEADERBOARD = str(Path(sys.executable).with_name("leaderboard"))
PLAIN_FLASK = "benchmarks.plain_flask"
START_TIMEOUT_SECONDS = 60


def environment(**settings: str) -> dict[str, str]:
    """The environment of this process with these settings."""
    return os.environ | settings


class WorkerMemory(NamedTuple):
    """The memory of one worker in MiB: what only it uses, and its part of what it shares with other processes."""

    own: float
    shared: float


class MeasuredServer:
    """A server of HTTP in processes of its own, for a ``with`` statement: a master and its workers."""

    def __init__(self, command: list[str], ready_path: str, port: int, **settings: str) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._ready_path = ready_path
        self._settings = settings

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, env=environment(**self._settings), stderr=subprocess.DEVNULL)
        self._wait_for(self._ready_path)
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

    def replace_workers(self) -> float:
        """Ends the workers, and returns the seconds from the start of the first new one until it is ready."""
        for worker in self._workers():
            worker.terminate()
            worker.wait()
        while not (workers := self._workers()):
            time.sleep(0.001)
        self._wait_for(self._ready_path)
        return time.time() - float(workers[0].create_time())

    def get_from_each_worker(self, path: str) -> None:
        """Sends the request to each worker, while the others are stopped."""
        workers = self._workers()
        for chosen in workers:
            others = [worker for worker in workers if worker != chosen]
            for worker in others:
                worker.suspend()
            try:
                self.get(path)
            finally:
                for worker in others:
                    worker.resume()

    def memory_by_worker(self) -> list[WorkerMemory]:
        """The memory of each worker."""
        used = [worker.memory_full_info() for worker in self._workers()]
        return [WorkerMemory(one.uss / 2**20, (one.pss - one.uss) / 2**20) for one in used]

    def worker_count(self) -> int:
        """The number of workers."""
        return len(self._workers())

    def cpu_seconds(self) -> float:
        """The CPU time that the workers have taken so far."""
        times = [worker.cpu_times() for worker in self._workers()]
        return sum(float(one.user + one.system) for one in times)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
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


class MeasuredService(MeasuredServer):
    """The service over a database. Without ``workers`` it runs its default number."""

    def __init__(self, url: str, workers: int | None = None, **settings: str) -> None:
        port = free_port()
        command = [LEADERBOARD, "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += [] if workers is None else ["--workers", str(workers)]
        super().__init__(command, "/api/health", port, POSTGRES=url, **settings)


class PlainFlask(MeasuredServer):
    """A small Flask app under gunicorn."""

    def __init__(self, workers: int) -> None:
        port = free_port()
        options = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--config", f"python:{PLAIN_FLASK}"]
        super().__init__([sys.executable, "-m", "gunicorn", *options, f"{PLAIN_FLASK}:app"], "/api/regions", port)
