"""What the tests of the service share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.own_server import OwnServer


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A PostgreSQL of the test's own."""
    with tempfile.TemporaryDirectory(prefix="leaderboard-tests-") as folder:
        Path(folder).chmod(0o755)
        server = OwnServer(Path(folder))
        yield server
        server.postgres.release()
