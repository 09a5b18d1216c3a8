"""A PostgreSQL server that a test may stop, freeze and start again."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg2

from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.migrations import migrate
from tests.support.waiting import eventually

MIN_MEMORY_BYTES = 4 * 2**30
"""A server of tests takes up to 250 MB."""


def postmaster_pid(data_dir: Path) -> int | None:
    """The pid of the server that runs in a data folder, if one does."""
    file = data_dir / "postgres" / "postmaster.pid"
    try:
        pid = int(file.read_text().splitlines()[0])
        return pid if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, IndexError, psutil.NoSuchProcess):
        return None


def make_data_dir(data_dir: Path) -> None:
    """Makes a data folder with a migrated database, and stops its server."""
    postgres = EmbeddedPostgres(data_dir)
    url = postgres.acquire()
    migrate(url, 20)
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # what tests store need not outlive the machine
            cursor.execute("ALTER SYSTEM SET fsync = off")
            cursor.execute("ALTER SYSTEM SET max_wal_size = '64MB'")
    postgres.release()


def memory_folder() -> Path | None:
    """A file system in memory, if this machine has a roomy one that may hold programs.

    Each test creates and deletes a database, which is several hundred files.
    On a busy disk that takes most of a test's time.
    """
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        return None
    found = os.statvfs(memory)
    is_roomy = found.f_bavail * found.f_frsize > MIN_MEMORY_BYTES
    return memory if is_roomy and not found.f_flag & os.ST_NOEXEC else None


def copy_data_dir(source: Path, target: Path) -> None:
    """Copies the data folder of a stopped server, with the owners of its files.

    That takes a tenth of the time that initdb takes.
    """
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)


class StoppablePostgres:
    """A server of the test's own in ``data_dir``."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._postgres = EmbeddedPostgres(data_dir)
        self.url = self._postgres.acquire()

    def stop(self) -> None:
        """Ends the server without waiting for its clients."""
        pid = postmaster_pid(self.data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        eventually(lambda: postmaster_pid(self.data_dir) is None)

    def start(self) -> None:
        """Starts the server again."""
        other = EmbeddedPostgres(self.data_dir)
        other.acquire()
        other.release()

    def close(self) -> None:
        """Stops the server if nobody else uses it."""
        self._postgres.release()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspends all processes of the server."""
        postmaster = psutil.Process(postmaster_pid(self.data_dir))
        # a suspended postmaster starts no more children
        postmaster.suspend()
        eventually(lambda: postmaster.status() == psutil.STATUS_STOPPED)
        processes = [*postmaster.children(), postmaster]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
