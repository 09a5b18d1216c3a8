"""The configuration of gunicorn. ``gunicorn.conf.py`` in the project's folder loads this module.

It runs in gunicorn's master process, which forks the workers. Polars must not
be loaded before a fork: its threads would be missing in the child, and a lock
that one of them held would never be released.
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
from leaderboard.postgres.embedded import database_url
from leaderboard.postgres.errors import EmbeddedPostgresError, MigrationError
from leaderboard.postgres.migrations import migrate
from leaderboard.settings import Settings, SettingsError, missing_variables
from leaderboard.signals import exit_on_signals
from leaderboard.web.error_body import ERROR_HEADERS, error_body
from queries.errors import StoreError

log = logging.getLogger("leaderboard")

READ_TIMEOUT_SECONDS = 10
"""A client that sends nothing for this long in the middle of a request is disconnected. Testers wait 8 s."""

bind = "0.0.0.0:8080"
worker_class = "gthread"
# the cores that this process may use: in a container, fewer than the machine has
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# each worker holds its own events in memory, so more workers cost more memory than they gain
workers = min(max(2, CORES), 8)
# more threads would only wait: a cached response is all Python, and a new one uses all cores
threads = 8
# one request must not occupy every core of a large machine; Polars reads this in the workers
raw_env = missing_variables(POLARS_MAX_THREADS=min(CORES, 4))
# a new worker has to load its events first, and an old one does not grow, so none is restarted for its age
max_requests = 0
# Polars must not be loaded before a fork
preload_app = False
keepalive = 30
# a worker counts as alive while its threads wait for the database, so this only ends one that hangs as a whole
timeout = 60
# the largest value that gunicorn accepts
limit_request_line = 8190
# gunicorn would create a socket in the home folder, which a service need not have
control_socket_disable = True
# the heartbeat must not wait for a disk
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None


def on_starting(server: Any) -> None:
    """Migrates the database before there are workers, which gunicorn would end if that took long.

    The master also holds the embedded server, so that it stays up while
    workers come and go.
    """
    # gunicorn handles signals later; until then, a signal must still stop the embedded server
    exit_on_signals()
    try:
        settings = Settings.load()
        logging_config.configure(settings.log_level)
        migrate(database_url(settings.postgres, settings.data_dir), settings.db_timeout)
    except StoreError as error:
        log.warning("starting without the database: %s", error)
    except (SettingsError, EmbeddedPostgresError, MigrationError) as error:
        sys.exit(f"leaderboard: {error}")
    if settings.secret is None:
        log.warning("SECRET is not set: posting is off")
    on_reload(server)


def on_reload(server: Any) -> None:
    """Makes a stop wait long enough for the slowest request."""
    needed = ceil(Settings.load().db_timeout) + 5
    server.cfg.set("graceful_timeout", max(needed, server.cfg.graceful_timeout))


def when_ready(server: Any) -> None:
    """Sets the read timeout, so that stalled clients do not occupy threads. Accepted sockets inherit it."""
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", READ_TIMEOUT_SECONDS, 0))


def on_exit(server: Any) -> None:
    """Waits for workers that were killed, so that the master is the last user of the embedded server."""
    for pid in list(server.WORKERS):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def post_worker_init(_: Any) -> None:
    """Gives gunicorn's own error responses, to requests that never reach the app, the app's error body."""
    gunicorn.util.write_error = write_error


def write_error(client: socket.socket, status: int, reason: str, message: str) -> None:
    """Responds to a request that gunicorn could not parse with the app's error body."""
    body = error_body(f"{reason}: {message}" if message else reason)
    headers = {"Connection": "close", "Content-Length": len(body)} | ERROR_HEADERS
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    gunicorn.util.write_nonblock(client, f"HTTP/1.1 {status} {reason}\r\n{head}\r\n".encode() + body)
