"""Starts and stops the PostgreSQL server of a data folder.

Written by hand because the package's own ``get_server`` opens the folder to
other users and gives up after 10 s, too soon for a server that has to recover.
The caller makes sure that no other process starts or stops the same server.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import time
from urllib.parse import quote, urlencode

import psycopg2

from leaderboard.postgres import system_user
from leaderboard.postgres.data_folder import SERVER_LOG, SUPERUSER, DataFolder
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.programs import ServerPrograms
from leaderboard.postgres.socket_folder import PORT, SOCKET_NAME, SocketFolder
from leaderboard.settings import server_environment
from leaderboard.signals import defer_signals
from queries.db import conninfo

log = logging.getLogger(__name__)

DATABASE = "leaderboard"
START_TIMEOUT_SECONDS = 300
"""A server that was killed may have much to recover."""
STOP_TIMEOUT_SECONDS = 60
LEFTOVER_SECONDS = 10
"""The processes of a server that was killed have ended by then."""
PROBE_TIMEOUT_SECONDS = 5
MAX_LOG_TAIL_BYTES = 4096
FATAL_LEVELS = ("PANIC:", "FATAL:")
PROBE_INTERVAL_SECONDS = 0.5


class PostgresServer:
    """The server of a data folder. It listens on a socket that only its owner may use."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._programs = ServerPrograms(data.path)
        self._sockets = SocketFolder(data)
        self._log_offset = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the leaderboard's database on the server.

        It has clients refuse a server of another account. Raises OSError where
        the data folder cannot be read.
        """
        return self._url(DATABASE)

    def is_running(self) -> bool:
        """Whether a server listens, including one that another container started on the same folder.

        A socket that another user may have put there does not count.
        """
        if not self._sockets.is_private():
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PROBE_TIMEOUT_SECONDS)
            try:
                client.connect(str(self._sockets.socket))
            except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
                return False
            except (TimeoutError, BlockingIOError):
                # too busy to accept
                return True
        return True

    def start(self) -> None:
        """Returns when a server runs. Raises EmbeddedPostgresError."""
        began = time.monotonic()
        deadline = began + START_TIMEOUT_SECONDS
        while not self.is_running():
            if not self._has_processes():
                self._start_process()
                self._wait_until_ready(deadline)
                return
            # a server that is starting, or processes left by one that was killed
            if time.monotonic() > began + LEFTOVER_SECONDS and not self._sockets.is_private():
                raise EmbeddedPostgresError(
                    f"{self._sockets.path}, which holds the server's socket, is gone or open to other users: "
                    "stop the server, so that it starts again in a private folder"
                )
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"another PostgreSQL uses {self._data.postgres}, but does not answer")
            time.sleep(0.1)

    def wait_for_end(self, seconds: float) -> bool:
        """Whether the server still runs after ``seconds``. Returns False as soon as it has ended."""
        descriptor = self._open_process()
        if descriptor is None:
            # the server of another container, on a system that cannot wait for other processes, or none
            runs = self.is_running()
            time.sleep(min(seconds, PROBE_INTERVAL_SECONDS) if runs else 0)
            return runs
        try:
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            return not ended.poll(seconds * 1000)
        finally:
            os.close(descriptor)

    def _open_process(self) -> int | None:
        """A descriptor of the server's main process, which is ready to read once the process has ended."""
        if not hasattr(os, "pidfd_open"):
            return None
        import psutil

        try:
            pid = int((self._data.postgres / "postmaster.pid").read_text(encoding="utf-8").partition("\n")[0])
            descriptor = os.pidfd_open(pid)
        except (OSError, ValueError):
            return None
        # the file may be left from a server whose pid is another's by now
        with contextlib.suppress(psutil.Error):
            if str(self._data.postgres) in psutil.Process(pid).cmdline():
                return descriptor
        os.close(descriptor)
        return None

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
        self._sockets.remove()
        log.info("stopped the embedded PostgreSQL in %s", self._data.postgres)

    def _url(self, database: str) -> str:
        options = {"host": str(self._sockets.path)}
        if user := system_user.server_user():
            options["requirepeer"] = user
        return f"postgresql://{SUPERUSER}@:{PORT}/{database}?{urlencode(options, quote_via=quote, safe='')}"

    def _has_processes(self) -> bool:
        return str(self._data.postgres) in system_user.working_folders()

    def _start_process(self) -> None:
        self._data.initialize(self._programs)
        self._data.check_owner()
        self._data.check_version()
        self._sockets.create()
        sockets = self._sockets.path
        # files of a server that was killed name a process that has ended, and whose pid may be another's by now
        for left in (self._data.postgres / "postmaster.pid", sockets / f"{SOCKET_NAME}.lock"):
            left.unlink(missing_ok=True)
        if self._process is not None:
            self._process.wait()
        command = [str(self._programs.path("postgres")), "-D", str(self._data.postgres)]
        options = ["-k", str(sockets), "-p", str(PORT), "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
        with (
            self._data.open_file(SERVER_LOG, "ab") as output,
            # a signal between the start and the assignment would leave a server that nobody stops
            defer_signals(),
        ):
            self._log_offset = output.tell()
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=server_environment(),
                # Ctrl-C in a terminal must reach the server's users, but not the server
                start_new_session=True,
                **system_user.run_as(system_user.server_account()),
            )

    def _wait_until_ready(self, deadline: float) -> None:
        assert self._process is not None
        while not self._accepts_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.terminate()
                raise EmbeddedPostgresError(
                    f"the embedded PostgreSQL does not start{self._reason()}; see {self._data.server_log}"
                )
            time.sleep(0.02)
        log.info("started the embedded PostgreSQL in %s", self._data.postgres)

    def _reason(self) -> str:
        """The last error of this start in the server's log, in parentheses."""
        with open(self._data.server_log, "rb") as file:
            file.seek(max(self._log_offset, file.seek(0, os.SEEK_END) - MAX_LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        errors = (
            line.partition(level)[2].strip() for line in reversed(lines) for level in FATAL_LEVELS if level in line
        )
        return next((f" ({error})" for error in errors), "")

    def _accepts_connections(self) -> bool:
        try:
            psycopg2.connect(conninfo(self._url("postgres"), PROBE_TIMEOUT_SECONDS)).close()
        except psycopg2.OperationalError:
            return False
        return True


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True
