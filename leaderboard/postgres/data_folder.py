"""The folder that holds the data of the embedded server."""

import logging
import os
import re
import shutil
import stat
from pathlib import Path
from typing import BinaryIO, Literal

from leaderboard.postgres import system_user
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.programs import ServerPrograms, package_version

log = logging.getLogger(__name__)

SUPERUSER = "postgres"
SERVER_LOG = "postgres.log"
REASONS = re.compile("could not|error:|(FATAL|PANIC|ERROR):")
OPEN_FLAGS = {
    mode: os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | how
    for mode, how in (("ab", os.O_APPEND), ("wb", os.O_TRUNC))
}


class DataFolder:
    """``path``, a path without links, with PostgreSQL's own data in the folder ``postgres`` inside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.postgres = (path / "postgres").resolve()
        self.server_log = path / SERVER_LOG

    def prepare(self) -> None:
        """Creates the folder, and makes sure that the server's account can reach it and that others cannot write to it.

        Raises EmbeddedPostgresError and OSError.
        """
        account = system_user.server_account()
        for folder in (*reversed(self.path.parents), self.path):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                # whatever the umask is
                folder.chmod(0o711 if account else 0o755)
        self._keep_writers_out()
        if account is None:
            return
        if self._is_ours_alone():
            # the server's account has to pass through it
            self.path.chmod(self.path.stat().st_mode | 0o011)
        if not system_user.command_succeeds(account, "sh", "-c", 'cd "$0"', str(self.path)):
            raise EmbeddedPostgresError(
                f"DATA_DIR {self.path} cannot be reached by the system user {account.pw_name}, which runs "
                "PostgreSQL where the service runs as root: choose a folder that others may pass through, "
                "or set POSTGRES"
            )

    def open_file(self, name: str, mode: Literal["ab", "wb"]) -> BinaryIO:
        """Opens a file in the folder for this process's user alone. Raises OSError, for a link too."""
        descriptor = os.open(self.path / name, OPEN_FLAGS[mode], 0o600)
        return os.fdopen(descriptor, mode)

    def _keep_writers_out(self) -> None:
        """Makes sure that not every user may write to the folder: they could put programs or data into it."""
        mode = self.path.stat().st_mode
        if not mode & stat.S_IWOTH:
            return
        if mode & stat.S_ISVTX or not self._is_ours_alone() or self.path.stat().st_uid != os.geteuid():
            raise EmbeddedPostgresError(
                f"every user may write to DATA_DIR {self.path}: choose a folder inside it, or take that right away"
            )
        self.path.chmod(stat.S_IMODE(mode) & ~stat.S_IWOTH)
        log.warning("every user could write to DATA_DIR %s, and now only its owner and group may", self.path)

    def _is_ours_alone(self) -> bool:
        return (self.path / "users.lock").exists() or not any(self.path.iterdir())

    def initialize(self, programs: ServerPrograms) -> None:
        """Creates PostgreSQL's data, unless it is there. Raises EmbeddedPostgresError."""
        if self.postgres.exists():
            return
        if system_user.server_user() is None:
            raise EmbeddedPostgresError(
                f"PostgreSQL cannot create its data for uid {os.geteuid()}, which is not a user of this system: "
                "run as another user, or set POSTGRES"
            )
        # renamed at the end, so that data that was created by half is not used
        partial = self.path / "postgres.part"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        system_user.give_to_server(partial)
        log.info("creating an embedded PostgreSQL in %s", self.postgres)
        # only its owner may open the folder, so a password would protect nothing more
        options = ("--auth=trust", "--encoding=UTF8", "--locale=C", "-U", SUPERUSER)
        done = programs.run("initdb", "-D", str(partial), *options)
        if done.returncode:
            raise EmbeddedPostgresError(f"initdb failed in {partial}: {_reason(done.stdout.decode(errors='replace'))}")
        partial.rename(self.postgres)

    def check_owner(self) -> None:
        """Makes PostgreSQL's data private. Raises EmbeddedPostgresError where it belongs to another user."""
        found, uid = self.postgres.lstat(), system_user.server_uid()
        if found.st_uid != uid:
            raise EmbeddedPostgresError(
                f"{self.postgres} belongs to uid {found.st_uid}, but PostgreSQL runs as uid {uid}: "
                "change the owner of all that is in it, or choose another DATA_DIR"
            )
        if found.st_mode & 0o077:
            self.postgres.chmod(0o700)
            log.warning("%s was open to other users, and is private now", self.postgres)

    def check_version(self) -> None:
        """Raises EmbeddedPostgresError where another major release of PostgreSQL made the data."""
        made_by = (self.postgres / "PG_VERSION").read_text(encoding="utf-8").strip()
        installed = package_version().split(".")[0]
        if made_by != installed:
            raise EmbeddedPostgresError(
                f"{self.postgres} was made by PostgreSQL {made_by}, but {installed} is installed: move its data "
                f"with pg_dump of PostgreSQL {made_by}, or choose another DATA_DIR"
            )


def _reason(output: str) -> str:
    """The line of a program's output that says why it failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reasons = [line for line in lines if REASONS.search(line)]
    return (reasons or lines or ["no reason given"])[-1]
