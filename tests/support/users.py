"""Commands of another user."""

import subprocess

import pytest

UNKNOWN_UID = 12345
"""A uid that is no user of the system."""


def command_of_user(uid: int, *command: str) -> list[str]:
    """A command for which this process's user has another uid. Skips the test where that is forbidden."""
    prefix = ["unshare", "--user", f"--map-user={uid}", f"--map-group={uid}"]
    try:
        allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("this process may not become another user")
    return [*prefix, *command]
