"""Programs that the package index does not have. A test that needs one is skipped where it is missing."""

import os
import shutil
from pathlib import Path

import pytest

DEMAND = "LEADERBOARD_TESTS_DEMAND_PROGRAMS"
"""With this variable a missing program fails the test, so that a run cannot pass without it."""


def require_program(name: str) -> Path:
    """The path of a program. Skips the test where it is not installed, or fails it where DEMAND is set."""
    # Debian puts servers where only root's PATH looks
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        message = f"{name} is not installed"
        if os.environ.get(DEMAND):
            pytest.fail(message)
        pytest.skip(message)
    return Path(found)
