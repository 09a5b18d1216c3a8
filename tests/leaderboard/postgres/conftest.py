"""Folders for servers of a test's own."""

import logging
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import new_folder


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """A folder in which no server runs any more when the test has ended, whatever its result."""
    with new_folder() as folder:
        yield folder
        for process in psutil.process_iter(["cmdline"]):
            if str(folder) in " ".join(process.info["cmdline"] or []):
                process.kill()
                process.wait(20)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log from WARN up, whatever level a command set before."""
    caplog.set_level(logging.WARNING, "leaderboard")
    return caplog
