"""A database with events of the past to export."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queries import HybridEvents, PostgresEvents
from tests.conftest import clone, conformance, load_events
from tests.support.commands import run_leaderboard
from tests.support.exports import UNTIL, RunExport, export_variables

SHIFT_SECONDS = 730 * 86_400
"""How far the events of the conformance set are moved into the past."""
LAST = UNTIL.timestamp() + 2 * 86_400


@pytest.fixture(scope="module")
def past(server: str, template: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database with a hundred events a day from SINCE on. For reading."""
    url = clone(server, template, request.module.__name__.rpartition(".")[2] + "_past")
    events = [
        [moment - SHIFT_SECONDS, *event]
        for moment, *event in conformance("events")["events"]
        if moment - SHIFT_SECONDS < LAST
    ]
    load_events(url, events)
    return url


@pytest.fixture
def source(past: str) -> Iterator[HybridEvents]:
    """The events of the past."""
    with closing(HybridEvents(PostgresEvents(past))) as source:
        yield source


@pytest.fixture
def run_export(past: str, tmp_path: Path) -> RunExport:
    """Runs ``leaderboard export`` over the events of the past, without a lake."""

    def run_export(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_leaderboard("export", *arguments, **export_variables(past, tmp_path) | variables)

    return run_export
