"""Starts and stops the PostgreSQL server of a data folder.

Written by hand because the package's own ``get_server`` opens the folder to
other users and gives up after 10 s, too soon for a server that has to recover.
The caller makes sure that no other process starts or stops the same server.
"""

import hashlib
import logging
import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg2

from leaderboard.postgres import system_user
from leaderboard.postgres.data_folder import SUPERUSER, DataFolder
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.programs import ServerPrograms
from leaderboard.signals import defer_signals

log = logging.getLogger(__name__)

DATABASE = "leaderboard"
PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
MAX_SOCKET_PATH_BYTES = 100
SPECIAL_IN_SOCKET_PATH = set(",\"'\\")
"""Characters with a meaning of their own in the server's list of socket folders, or in a client's."""
START_TIMEOUT_SECONDS = 300
"""A server that was killed may have much to recover."""
STOP_TIMEOUT_SECONDS = 60
PROBE_TIMEOUT_SECONDS = 5


class PostgresServer:
    """The server of a data folder. It listens on a socket that only its owner may use."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._programs = ServerPrograms(data.path)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the leaderboard's database on the server."""
        return self._url(DATABASE)

    def is_running(self) -> bool:
        """Whether a server listens, including one that another container started on the same folder."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PROBE_TIMEOUT_SECONDS)
            try:
                client.connect(str(self._socket_dir() / SOCKET_NAME))
            except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
                return False
            except (TimeoutError, BlockingIOError):
                # too busy to accept
                return True
        return True

    def start(self) -> None:
        """Returns when a server runs. Raises EmbeddedPostgresError."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.is_running():
            if not self._has_processes():
                self._start_process()
                self._wait_until_ready(deadline)
                return
            # a server that is starting, or processes left by one that was killed
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"another PostgreSQL uses {self._data.postgres}, but does not answer")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stops the server where it runs. What is committed is on disk then."""
        if self._process is not None and self._process.poll() is None:
            # directly, because it may not listen yet
            self._process.send_signal(signal.SIGINT)
            stopped = _has_ended(self._process)
        elif self.is_running():
            arguments = ("-D", str(self._data.postgres), "stop", "-m", "fast", "-w", "-t", str(STOP_TIMEOUT_SECONDS))
            stopped = self._programs.run("pg_ctl", *arguments).returncode == 0
        else:
            return
        if not stopped:
            log.warning("the embedded PostgreSQL does not stop; see %s", self._data.server_log)
            return
        if self._socket_dir() != self._data.postgres:
            self._socket_dir().rmdir()
        log.info("stopped the embedded PostgreSQL in %s", self._data.postgres)

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@:{PORT}/{database}?host={quote(str(self._socket_dir()), safe='')}"

    def _has_processes(self) -> bool:
        import psutil

        return any(
            process.info["cwd"] == str(self._data.postgres) and process.info["status"] != psutil.STATUS_ZOMBIE
            for process in psutil.process_iter(["cwd", "status"])
        )

    def _start_process(self) -> None:
        self._data.initialize(self._programs)
        self._data.check_version()
        sockets = self._socket_dir()
        if sockets != self._data.postgres:
            _create_private_folder(sockets)
        # files of a server that was killed name a process that has ended, and whose pid may be another's by now
        for left in (self._data.postgres / "postmaster.pid", sockets / f"{SOCKET_NAME}.lock"):
            left.unlink(missing_ok=True)
        if self._process is not None:
            self._process.wait()
        command = [str(self._programs.path("postgres")), "-D", str(self._data.postgres)]
        options = ["-k", str(sockets), "-p", str(PORT), "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
        with (
            open(self._data.server_log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output,
            # a signal between the start and the assignment would leave a server that nobody stops
            defer_signals(),
        ):
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                # Ctrl-C in a terminal must reach the server's users, but not the server
                start_new_session=True,
                **system_user.run_as(system_user.server_account()),
            )

    def _wait_until_ready(self, deadline: float) -> None:
        assert self._process is not None
        while not self._accepts_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.terminate()
                raise EmbeddedPostgresError(f"the embedded PostgreSQL does not start; see {self._data.server_log}")
            time.sleep(0.02)
        log.info("started the embedded PostgreSQL in %s", self._data.postgres)

    def _accepts_connections(self) -> bool:
        try:
            psycopg2.connect(self._url("postgres"), connect_timeout=PROBE_TIMEOUT_SECONDS).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _socket_dir(self) -> Path:
        """The data's folder, or one in /tmp where the path of a socket in it would be too long or too special."""
        path = self._data.postgres / SOCKET_NAME
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and not SPECIAL_IN_SOCKET_PATH & set(str(path)):
            return self._data.postgres
        name = hashlib.sha256(os.fsencode(self._data.postgres)).hexdigest()[:16]
        return Path("/tmp") / f"leaderboard-{name}"


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _create_private_folder(folder: Path) -> None:
    """Creates a folder for the server's account alone, or makes sure that an existing one is."""
    try:
        folder.mkdir(mode=0o700)
        system_user.give_to_server(folder)
    except FileExistsError:
        found, account = folder.lstat(), system_user.server_account()
        owner = account.pw_uid if account else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise EmbeddedPostgresError(f"{folder}, for the server's socket, belongs to another user") from None
