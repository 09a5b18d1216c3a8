"""The embedded PostgreSQL, for a service to which no database is given.

It belongs to the data folder and serves every process that uses it. The first
process starts it and the last one stops it. A process that uses it holds a
shared lock on a file. The kernel releases that lock however the process ends,
so a killed process never counts as a user.
"""

import atexit
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

from leaderboard.postgres.data_folder import DataFolder
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.server import PostgresServer
from queries.concurrency import OutageLog

log = logging.getLogger(__name__)

WATCH_INTERVAL_SECONDS = 1.0
MAX_RESTART_DELAY_SECONDS = 10.0
"""How long the watch waits at most before it restarts a server that dies again and again."""
STABLE_SECONDS = 5.0
"""A server that has run for this long is restarted without delay."""


def database_url(postgres: str | None, data_dir: Path) -> str:
    """``postgres`` where it is a URL, else the embedded server's, which runs until this process ends.

    Raises EmbeddedPostgresError.
    """
    return postgres or EmbeddedPostgres(data_dir).acquire()


class EmbeddedPostgres:
    """One process's use of the server in ``data_dir``: from ``acquire`` to ``release`` or the process's end."""

    def __init__(self, data_dir: Path) -> None:
        self._data = DataFolder(data_dir.resolve())
        self._server = PostgresServer(self._data)
        self._users: BinaryIO | None = None
        self._pid = os.getpid()
        self._released = Event()

    @property
    def url(self) -> str:
        """The URL of the server's database, whether or not the server runs. Raises EmbeddedPostgresError."""
        try:
            return self._server.url
        except OSError as error:
            raise self._unusable(error) from error

    def is_running(self) -> bool:
        """Whether the server runs, for any process. Raises EmbeddedPostgresError for a folder without access."""
        try:
            return self._server.is_running()
        except OSError as error:
            raise self._unusable(error) from error

    def acquire(self) -> str:
        """Starts the server where it does not run yet, and returns the URL of its database.

        Raises EmbeddedPostgresError.
        """
        try:
            self._data.prepare()
            with self._exclusive_lock():
                self._users = self._open_lock_file("users.lock")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                atexit.register(self.release)
                # a forked child must neither keep the lock nor release it
                os.register_at_fork(after_in_child=self._close_lock)
                self._server.start()
        except OSError as error:
            self._close_lock()
            raise self._unusable(error) from error
        except EmbeddedPostgresError:
            self._close_lock()
            raise
        return self._server.url

    def watch(self) -> None:
        """Starts a thread that restarts the server as soon as it has died, until ``release``.

        A server that dies again and again is restarted less and less often.
        """
        Thread(target=self._watch, name="watch-postgres", daemon=True).start()

    def release(self) -> None:
        """Ends this use. The last user stops the server."""
        if self._users is None or os.getpid() != self._pid:
            return
        self._released.set()
        try:
            with self._exclusive_lock():
                try:
                    fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.debug("other processes still use the embedded PostgreSQL")
                else:
                    self._server.stop()
        except OSError as error:
            log.warning("the embedded PostgreSQL in %s cannot be stopped: %s", self._data.path, error)
        self._close_lock()

    def _watch(self) -> None:
        outage = OutageLog("the restart of the embedded PostgreSQL", log)
        delay, started = 0.0, time.monotonic()
        while not self._released.is_set():
            try:
                if self._server.wait_for_end(WATCH_INTERVAL_SECONDS):
                    if time.monotonic() > started + STABLE_SECONDS:
                        delay = 0.0
                    continue
                if not self._released.wait(delay):
                    delay = min(max(0.5, 2 * delay), MAX_RESTART_DELAY_SECONDS)
                    self._restart()
                    started = time.monotonic()
                    outage.worked()
            except (EmbeddedPostgresError, OSError) as error:
                outage.failed(error)

    def _restart(self) -> None:
        with self._exclusive_lock(logging.DEBUG):
            # another process may have restarted it
            if not self._released.is_set() and not self._server.is_running():
                self._server.start()
                log.warning("the embedded PostgreSQL had ended, and was started again; see %s", self._data.server_log)

    def _unusable(self, error: OSError) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"DATA_DIR {self._data.path} cannot be used: {error.strerror or error}; "
            "set DATA_DIR to a folder that the service may write to, or POSTGRES to a database"
        )

    def _close_lock(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    @contextmanager
    def _exclusive_lock(self, log_level: int = logging.INFO) -> Iterator[None]:
        """Keeps other processes from starting or stopping the server meanwhile. Waiting is logged at ``log_level``."""
        with self._open_lock_file("server.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.log(log_level, "waiting for another process that starts or stops the embedded PostgreSQL")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open_lock_file(self, name: str) -> BinaryIO:
        # other users may not open it, and so cannot hold the lock
        return self._data.open_file(name, "wb")
