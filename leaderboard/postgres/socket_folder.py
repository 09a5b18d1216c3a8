"""The folder of the embedded server's socket.

It is the data itself, where the path of a socket in there is short and plain
enough. Else it is a folder in a temporary folder, where other users may create
folders, too. So nobody connects before ``is_private`` has looked.
"""

import hashlib
import logging
import os
import stat
import tempfile
from pathlib import Path

from leaderboard.postgres import system_user
from leaderboard.postgres.data_folder import DataFolder
from leaderboard.postgres.errors import EmbeddedPostgresError

log = logging.getLogger(__name__)

PORT = 5432
SOCKET_NAME = f".s.PGSQL.{PORT}"
MAX_SOCKET_PATH_BYTES = 100
SPECIAL_CHARACTERS = set(",\"'\\")
"""Characters with a meaning of their own in the server's list of socket folders, or in a client's."""
PARENTS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
"""Where the folder may be, apart from the data. Their paths are short."""


class SocketFolder:
    """The folder of the socket of the server of ``data``. It is the server account's alone."""

    def __init__(self, data: DataFolder) -> None:
        self._data = data
        self._record = data.path / "socket-folder"

    @property
    def path(self) -> Path:
        """Where the folder is, or where it will be. Raises OSError where the data folder cannot be read."""
        socket = self._data.postgres / SOCKET_NAME
        if len(os.fsencode(socket)) <= MAX_SOCKET_PATH_BYTES and not SPECIAL_CHARACTERS & set(str(socket)):
            return self._data.postgres
        try:
            return Path(self._record.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            name = hashlib.sha256(os.fsencode(self._data.postgres)).hexdigest()[:16]
            return PARENTS[0] / f"leaderboard-{name}"

    @property
    def socket(self) -> Path:
        """The path of the socket."""
        return self.path / SOCKET_NAME

    def is_private(self) -> bool:
        """Whether only the server's account can have put a socket there. False where the folder does not exist."""
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == system_user.server_uid() and not found.st_mode & 0o077

    def create(self) -> None:
        """Creates the folder. If another user took its name, it gets another one, which the data folder records.

        Raises EmbeddedPostgresError.
        """
        path = self.path
        if path == self._data.postgres or self._create_at(path):
            return
        for parent in PARENTS:
            try:
                created = Path(tempfile.mkdtemp(prefix="leaderboard-", dir=parent))
                system_user.give_to_server(created)
            except OSError:
                continue
            self._write_record(created)
            log.warning("%s cannot be used for the server's socket, which is in %s instead", path, created)
            return
        raise EmbeddedPostgresError(
            f"the path of DATA_DIR {self._data.path} is too long or too special for the server's socket, and no "
            f"folder for it can be created in {', '.join(map(str, PARENTS))}: choose a shorter DATA_DIR"
        )

    def remove(self) -> None:
        """Removes the folder, if it is not the data and empty. It gets the same path again."""
        path = self.path
        if path != self._data.postgres and self.is_private():
            path.rmdir()

    def _create_at(self, path: Path) -> bool:
        """Whether the folder is there now, for the server's account alone."""
        try:
            path.mkdir(mode=0o700)
            system_user.give_to_server(path)
        except FileExistsError:
            pass
        except OSError:
            return False
        return self.is_private()

    def _write_record(self, folder: Path) -> None:
        # renamed at the end, because other processes may read it at any time
        partial = self._record.with_suffix(".part")
        partial.unlink(missing_ok=True)
        partial.write_text(str(folder), encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(self._record)
