"""The configuration of gunicorn. ``gunicorn.conf.py`` in the project's folder loads this module.

It runs in gunicorn's master process, which forks the workers. Polars must not
be loaded before a fork: its threads would be missing in the child, and a lock
that one of them held would never be released.
"""

import contextlib
import logging
import os
import resource
import sys
from math import ceil
from typing import Any

from leaderboard import logging_config
from leaderboard.postgres.embedded import database_url
from leaderboard.postgres.errors import EmbeddedPostgresError, MigrationError
from leaderboard.postgres.migrations import migrate
from leaderboard.server.process_end import end_process
from leaderboard.settings import Settings, SettingsError, missing_variables, reach_local_addresses_directly
from leaderboard.signals import exit_on_signals
from queries.errors import StoreError

log = logging.getLogger("leaderboard")

reach_local_addresses_directly()
try:
    settings = Settings.load()
except SettingsError as error:
    sys.exit(f"leaderboard: {error}")

bind = f"0.0.0.0:{settings.port}"
worker_class = "leaderboard.server.worker.Worker"
# the cores that this process may use: in a container, fewer than the machine has
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# each worker holds its own events in memory, so more workers cost more memory than they gain
workers = settings.web_concurrency or min(max(2, CORES), 8)
# most of them wait for the database when it is slow; leaderboard/server/admission.py shares them out
threads = 32
# clients that are idle or slow occupy a connection each, and no thread
worker_connections = 1000
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
    allow_many_connections()
    try:
        logging_config.configure(settings.log_level)
        migrate(database_url(settings.postgres, settings.data_dir), settings.db_timeout)
    except StoreError as error:
        log.warning("starting without the database: %s", error)
    except (EmbeddedPostgresError, MigrationError) as error:
        sys.exit(f"leaderboard: {error}")
    if settings.secret is None:
        log.warning("SECRET is not set: posting is off")
    on_reload(server)


def on_reload(server: Any) -> None:
    """Makes a stop wait long enough for the slowest request."""
    needed = ceil(settings.db_timeout) + 5
    server.cfg.set("graceful_timeout", max(needed, server.cfg.graceful_timeout))


def allow_many_connections() -> None:
    """Raises the limit of open files to what the connections need, if the system allows that. Workers inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * worker_connections
    if soft != resource.RLIM_INFINITY and soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        # macOS allows less than it says
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def worker_exit(_: Any, worker: Any) -> None:
    """Closes the stores of a worker and ends its process."""
    if worker.pid != os.getpid():
        # gunicorn also calls this in its main process, for a worker that has vanished
        return
    service = getattr(getattr(worker, "wsgi", None), "extensions", {}).get("leaderboard")
    try:
        if service is not None:
            service.close()
    finally:
        end_process()


def on_exit(server: Any) -> None:
    """Waits for workers that were killed, so that the master is the last user of the embedded server."""
    for pid in list(server.WORKERS):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
