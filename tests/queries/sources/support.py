"""Databases that do not answer."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg2

from tests.conftest import rows


@contextmanager
def locked(url: str) -> Iterator[None]:
    """While nobody else can read the events."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events")
            yield
    finally:
        connection.close()


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """While the server processes behind a source's idle connections do not run."""
    own_name = psycopg2.extensions.make_dsn(url, application_name="tests")
    statement = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'leaderboard' AND datname = current_database()"
    )
    pids = [pid for (pid,) in rows(own_name, statement)]
    assert pids
    for pid in pids:
        psutil.Process(pid).suspend()
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
