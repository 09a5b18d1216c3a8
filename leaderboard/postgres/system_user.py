"""The system account of the embedded server.

PostgreSQL refuses to run as root. Where the service runs as root, the server
runs as a system user of its own; elsewhere as the current user.
"""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from leaderboard.postgres.errors import EmbeddedPostgresError

ACCOUNT_NAME = "leaderboard"


def server_account() -> pwd.struct_passwd | None:
    """The system user, created where it is missing. None where the server runs as the current user.

    Raises EmbeddedPostgresError.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        pass
    try:
        subprocess.run(["useradd", "--system", "--no-create-home", ACCOUNT_NAME], capture_output=True, check=True)
        return pwd.getpwnam(ACCOUNT_NAME)
    except (OSError, subprocess.CalledProcessError, KeyError) as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the system user {ACCOUNT_NAME} cannot be created: "
            "run as another user, or set POSTGRES"
        ) from error


def server_uid() -> int | None:
    """The uid that the server runs as. None as long as its account is missing."""
    if os.geteuid() != 0:
        return os.geteuid()
    try:
        return pwd.getpwnam(ACCOUNT_NAME).pw_uid
    except KeyError:
        return None


def server_user() -> str | None:
    """The name of the user that the server runs as. None where that user has none, as in some containers."""
    if os.geteuid() == 0:
        return ACCOUNT_NAME
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def run_as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments with which ``subprocess`` runs a program as this user. None is the current user."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def command_succeeds(user: pwd.struct_passwd, *command: str) -> bool:
    """Whether a command succeeds when this user runs it."""
    try:
        return subprocess.run(command, capture_output=True, check=False, **run_as(user)).returncode == 0
    except PermissionError:
        return False


def working_folders() -> set[str]:
    """The current folders of all processes of the server's account. Raises EmbeddedPostgresError."""
    account = server_account()
    if account is None:
        import psutil

        processes = psutil.process_iter(["cwd", "status"])
        return {process.info["cwd"] for process in processes if process.info["status"] != psutil.STATUS_ZOMBIE}
    # in a container, root may not read this of another user's processes, and would take them for ended
    command = ["sh", "-c", "readlink /proc/[0-9]*/cwd"]
    done = subprocess.run(command, cwd="/", capture_output=True, check=False, **run_as(account))
    folders = set(os.fsdecode(done.stdout).splitlines())
    if "/" not in folders:
        # not even that of the command itself
        raise EmbeddedPostgresError(f"the processes of the system user {account.pw_name} cannot be listed in /proc")
    return folders


def give_to_server(path: Path) -> None:
    """Makes the server's account the owner of a path."""
    if account := server_account():
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
