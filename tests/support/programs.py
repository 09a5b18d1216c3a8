"""Programs that the package index does not have. A test that needs one is skipped where it is missing."""

import os
from pathlib import Path

import pytest

from benchmarks.trust.processes.programs import find_program

DEMAND = "LEADERBOARD_TESTS_DEMAND_PROGRAMS"
"""With this variable a missing program fails the test, so that a run cannot pass without it."""


def require_program(name: str) -> Path:
    """The path of a program. Skips the test where it is not installed, or fails it where DEMAND is set."""
    found = find_program(name)
    if found is None:
        message = f"{name} is not installed"
        if os.environ.get(DEMAND):
            pytest.fail(message)
        pytest.skip(message)
    return found
