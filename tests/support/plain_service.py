"""A small WSGI app under the service's own worker, and the configuration with which gunicorn runs it.

``LIMITS`` in the environment are those of clients, as JSON.
"""

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from leaderboard.server.limits import ClientLimits
from leaderboard.server.worker import Worker
from tests.support.service import RunningService, free_port

BIG_BYTES = 14 << 20
BIG = bytes(range(256)) * (BIG_BYTES // 256)
MODULE = "tests.support.plain_service"
COMMAND = [sys.executable, "-m", "gunicorn", "-c", f"python:{MODULE}", f"{MODULE}:app"]
IMPATIENT = {
    "head_seconds": 1, "seconds_per_step": 1, "close_seconds": 1, "drain_seconds": 1, "stop_seconds": 1,
    "orphan_seconds": 1, "tick_seconds": 0.1, "max_received_bytes": 1 << 20,
}  # fmt: skip


class PlainWorker(Worker):
    """The service's worker, with limits that a test chose."""

    limits = ClientLimits(**json.loads(os.environ.get("LIMITS", "{}")))


worker_class = PlainWorker
workers = 1
# two posts at a time, two reads, and one of each other kind
threads = 4
worker_connections = 1000
keepalive = 30
graceful_timeout = 50
control_socket_disable = True


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Responds with the length of a body, or as the path says.

    ``?held_until=FILE`` adds a byte to FILE.begun and waits until FILE exists.
    """
    body = environ["wsgi.input"].read()
    for file in parse_qs(environ["QUERY_STRING"]).get("held_until", ()):
        with Path(f"{file}.begun").open("ab") as begun:
            begun.write(b".")
        while not Path(file).exists():
            time.sleep(0.01)
    response = {"/big": BIG, "/stream": BIG, "/pid": str(os.getpid()).encode()}.get(
        environ["PATH_INFO"], str(len(body)).encode()
    )
    is_stream = environ["PATH_INFO"] == "/stream"
    start_response("200 OK", [] if is_stream else [("Content-Length", str(len(response)))])
    return (BIG[start : start + (1 << 16)] for start in range(0, BIG_BYTES, 1 << 16)) if is_stream else [response]


def plain_service(
    *options: str, port: int | None = None, shell_prefix: str = "true", **limits: float
) -> RunningService:
    """The app with these limits of clients, for a ``with`` statement, after a command of the shell."""
    command = ["/bin/sh", "-c", f'{shell_prefix}; exec "$@"', "sh", *COMMAND, *options]
    return RunningService({"LIMITS": json.dumps(limits)}, command, port or free_port())
