"""The folder that holds the data of the embedded server."""

import logging
import shutil
from pathlib import Path

from leaderboard.postgres import system_user
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.postgres.programs import ServerPrograms, package_version

log = logging.getLogger(__name__)

SUPERUSER = "postgres"


class DataFolder:
    """``path``, a path without links, with PostgreSQL's own data in the folder ``postgres`` inside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.postgres = path / "postgres"
        self.server_log = path / "postgres.log"

    def prepare(self) -> None:
        """Creates the folder and makes sure that the server's account can reach it.

        Raises EmbeddedPostgresError and OSError.
        """
        account = system_user.server_account()
        for folder in (*reversed(self.path.parents), self.path):
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                if account:
                    folder.chmod(0o711)
        if account is None:
            return
        if not any(self.path.iterdir()) or (self.path / "users.lock").exists():
            # the folder is ours alone, and the server's account has to pass through it
            self.path.chmod(self.path.stat().st_mode | 0o011)
        if not system_user.command_succeeds(account, "sh", "-c", 'cd "$0"', str(self.path)):
            raise EmbeddedPostgresError(
                f"DATA_DIR {self.path} cannot be reached by the system user {account.pw_name}, which runs "
                "PostgreSQL where the service runs as root: choose a folder that others may pass through, "
                "or set POSTGRES"
            )

    def initialize(self, programs: ServerPrograms) -> None:
        """Creates PostgreSQL's data, unless it is there. Raises EmbeddedPostgresError."""
        if self.postgres.exists():
            return
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
            lines = done.stdout.decode(errors="replace").split("\n")
            reason = next((line for line in reversed(lines) if line.strip()), "no reason given")
            raise EmbeddedPostgresError(f"initdb failed in {partial}: {reason}")
        partial.rename(self.postgres)

    def check_version(self) -> None:
        """Raises EmbeddedPostgresError where another major release of PostgreSQL made the data."""
        made_by = (self.postgres / "PG_VERSION").read_text().strip()
        installed = package_version().split(".")[0]
        if made_by != installed:
            raise EmbeddedPostgresError(
                f"{self.postgres} was made by PostgreSQL {made_by}, but {installed} is installed: move its data "
                f"with pg_dump of PostgreSQL {made_by}, or choose another DATA_DIR"
            )
