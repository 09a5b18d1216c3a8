"""A PostgreSQL of the service's own, for where none is given.

It belongs to the data folder and serves every process that uses it; the first
starts it and the last stops it. Who uses it is a shared lock on a file, which
the kernel takes back from a process however that ends, so nothing that a
killed process leaves behind is mistaken for a user.
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

from leaderboard.postgres.server import PostgresServer
from leaderboard.postgres.system_user import EmbeddedPostgresError

log = logging.getLogger(__name__)

WATCH_PAUSE = 5.0
"""Seconds between two looks at a server that is watched."""


def database_url(postgres: str | None, data_dir: Path) -> str:
    """``postgres`` where it is a URL, else that of the embedded server, which runs until this process ends.

    Raises EmbeddedPostgresError.
    """
    return postgres or EmbeddedPostgres(data_dir).acquire()


class EmbeddedPostgres:
    """One process's use of the server in ``data_dir``: from ``acquire`` to ``release`` or the process's end."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.resolve()
        self._server = PostgresServer(self._data_dir)
        self._users: IO[str] | None = None
        self._pid = os.getpid()
        self._released = Event()

    def acquire(self) -> str:
        """Starts the server, or joins those that use it already, and returns the URL of its database.

        Raises EmbeddedPostgresError.
        """
        try:
            self._server.prepare()
            with self._alone():
                self._users = self._lock_file("users.lock")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                atexit.register(self.release)
                # a child must neither keep the lock nor act on it
                os.register_at_fork(after_in_child=self._forget)
                self._server.start()
        except OSError as error:
            self._forget()
            raise EmbeddedPostgresError(f"DATA_DIR {self._data_dir} cannot be used: {error}") from error
        except EmbeddedPostgresError:
            self._forget()
            raise
        return self._server.url

    def watch(self) -> None:
        """Has a thread start the server again whenever it is found dead, until ``release``."""
        Thread(target=self._watch, name="watch-postgres", daemon=True).start()

    def release(self) -> None:
        """Ends this use; the last one stops the server."""
        if self._users is None or os.getpid() != self._pid:
            return
        self._released.set()
        try:
            with self._alone():
                try:
                    fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.debug("other processes still use the embedded PostgreSQL")
                else:
                    self._server.stop()
        except OSError as error:
            log.warning("the embedded PostgreSQL in %s cannot be stopped: %s", self._data_dir, error)
        self._forget()

    def _watch(self) -> None:
        while not self._released.wait(WATCH_PAUSE):
            try:
                if self._server.is_running():
                    continue
                with self._alone():
                    if not self._released.is_set():
                        self._server.start()
            except (EmbeddedPostgresError, OSError) as error:
                log.error("the embedded PostgreSQL has died and cannot be started again: %s", error)

    def _forget(self) -> None:
        if self._users is not None:
            self._users.close()
            self._users = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process starts or stops the server."""
        with self._lock_file("server.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process that starts or stops the embedded PostgreSQL")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lock_file(self, name: str) -> IO[str]:
        # nobody else may open it, and so hold it
        return open(self._data_dir / name, "w", opener=lambda path, flags: os.open(path, flags, 0o600))
