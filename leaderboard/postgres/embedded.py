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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import IO

from leaderboard.postgres.data_folder import DataFolder
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.server import PostgresServer

log = logging.getLogger(__name__)

WATCH_INTERVAL_SECONDS = 5.0


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
        self._users: IO[str] | None = None
        self._pid = os.getpid()
        self._released = Event()

    @property
    def url(self) -> str:
        """The URL of the server's database, whether or not the server runs."""
        return self._server.url

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

    def watch(self, interval_seconds: float = WATCH_INTERVAL_SECONDS) -> None:
        """Starts a thread that restarts the server whenever it has died, until ``release``."""
        Thread(target=self._watch, args=(interval_seconds,), name="watch-postgres", daemon=True).start()

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

    def _watch(self, interval_seconds: float) -> None:
        while not self._released.wait(interval_seconds):
            try:
                if self._server.is_running():
                    continue
                with self._exclusive_lock():
                    if not self._released.is_set():
                        self._server.start()
            except (EmbeddedPostgresError, OSError) as error:
                log.error("the embedded PostgreSQL has died and cannot be restarted: %s", error)  # noqa: TRY400  a traceback would say no more

    def _unusable(self, error: OSError) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(f"DATA_DIR {self._data.path} cannot be used: {error}")

    def _close_lock(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    @contextmanager
    def _exclusive_lock(self) -> Iterator[None]:
        """Keeps other processes from starting or stopping the server meanwhile."""
        with self._open_lock_file("server.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process that starts or stops the embedded PostgreSQL")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open_lock_file(self, name: str) -> IO[str]:
        # other users may not open it, and so cannot hold the lock
        return open(self._data.path / name, "w", opener=lambda path, flags: os.open(path, flags, 0o600))
