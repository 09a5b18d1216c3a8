"""The system user that the embedded server runs as where the service runs as root, as whom PostgreSQL refuses to."""

import os
import pwd
import subprocess
from typing import Any

NAME = "leaderboard"


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be run; the message says why, in one line."""


def account() -> pwd.struct_passwd | None:
    """The system user, made if need be; None where the server runs as the current one, which is not root.

    Raises EmbeddedPostgresError.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        pass
    try:
        subprocess.run(["useradd", "--system", "--no-create-home", NAME], capture_output=True, check=True)
        return pwd.getpwnam(NAME)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the system user {NAME} cannot be made: "
            "run as another user, or set POSTGRES"
        ) from error


def identity(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments that have ``subprocess`` run something as this user; as the current one where it is None."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def succeeds(user: pwd.struct_passwd, *command: str) -> bool:
    """Whether a command that this user runs succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False, **identity(user)).returncode == 0
    except PermissionError:
        return False
