"""How gunicorn runs the service; the gunicorn.conf.py in the project's folder is this module.

It runs in gunicorn's master, which forks the workers. Polars must not be
loaded before a fork, so nothing here may import ``queries``.
"""

import contextlib
import logging
import os
import socket
import struct
import sys
from math import ceil
from typing import Any

import gunicorn.util

from leaderboard import logging_config
from leaderboard.postgres.admin import DatabaseUnavailable
from leaderboard.postgres.embedded import database_url
from leaderboard.postgres.errors import EmbeddedPostgresError, MigrationError
from leaderboard.postgres.migrations import migrate
from leaderboard.settings import Settings, SettingsError, unless_set
from leaderboard.signals import exit_on_signals
from leaderboard.web.error_body import ERROR_HEADERS, error_body

log = logging.getLogger("leaderboard")

READ_TIMEOUT = 10
"""Seconds without a byte after which a client that is sending a request is given up; testers wait eight."""

bind = "0.0.0.0:8080"
worker_class = "gthread"
# the cores this process may use, which in a container are fewer than the machine has
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# each worker holds the events of its own, so more than a few cost more memory than they gain
workers = min(max(2, CORES), 8)
# more than these only wait for each other: an answer that is kept is all Python, one that is not is all cores
threads = 8
# one question must not take every core of a large machine; the workers load Polars, which reads this
raw_env = unless_set(POLARS_MAX_THREADS=min(CORES, 4))
# a new worker has to read its events first, and an old one does not grow, so none is ended for its age
max_requests = 0
# Polars must not be loaded before a fork
preload_app = False
keepalive = 30
# a worker is alive while its threads wait for the database, so this only ends one that hangs as a whole
timeout = 60
# the longest that gunicorn takes
limit_request_line = 8190
# the default is a file in the home folder, which a service need not have
control_socket_disable = True
# the heartbeat must not wait for a disk
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def on_starting(server: Any) -> None:
    """Makes the database ready once, before there are workers, who would be ended if that took long.

    The master holds the embedded server as well, so that it stays up while
    workers come and go.
    """
    # until gunicorn takes signals itself, one that ends the process must still end what it holds
    exit_on_signals()
    try:
        settings = Settings.load()
        logging_config.configure(settings.log_level)
        migrate(database_url(settings.postgres, settings.data_dir), settings.db_timeout)
    except DatabaseUnavailable as error:
        log.warning("starting without the database, which is not available: %s", error)
    except (SettingsError, EmbeddedPostgresError, MigrationError) as error:
        print(f"leaderboard: {error}", file=sys.stderr)
        sys.exit(1)
    if settings.secret is None:
        log.warning("SECRET is not set: posting is off")
    on_reload(server)


def on_reload(server: Any) -> None:
    """Has a stop wait long enough for the slowest request to be answered."""
    needed = ceil(Settings.load().db_timeout) + 5
    server.cfg.set("graceful_timeout", max(needed, server.cfg.graceful_timeout))


def when_ready(server: Any) -> None:
    """Has clients that stall in the middle of a request give back their thread; accepted sockets inherit this."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", READ_TIMEOUT, 0))


def on_exit(server: Any) -> None:
    """Waits for workers that were killed at last, so that the master is the last to use the embedded server."""
    for pid in list(server.WORKERS):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def post_worker_init(worker: Any) -> None:
    """Has gunicorn's own errors, of requests that never reach the app, look like the app's."""
    gunicorn.util.write_error = write_error


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:
    """Answers a request that gunicorn could not read with the one error body, readable by any page."""
    body = error_body(f"{reason}: {message}" if message else reason)
    headers = {"Connection": "close", "Content-Length": len(body)} | ERROR_HEADERS
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    gunicorn.util.write_nonblock(client, f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body)
