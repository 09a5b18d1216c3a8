"""What the lake takes and gives: its commands, as processes of their own, and a year's scores read from it."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
import pyarrow.parquet

from benchmarks.load import RESULT
from benchmarks.questions import UNTIL
from benchmarks.running import LEADERBOARD, Running, environment
from queries import LakeEvents

NEW = 1000
"""Results that a sync finds which has little to do."""
INTERVAL = 1
"""Seconds between two syncs of a service."""
_COPY = """COPY (SELECT id, event_time, orchestrator, region_name, job_type_name, payload->>'pipeline',
    payload->>'model', success_rate, round_trip_time, seg_duration, payload FROM event_details) TO STDOUT"""
_COLD = """if True:
    import sys, time
    from datetime import datetime, timedelta
    from queries import EventFilter, aggregated_stats, collect, open_events
    until = datetime.fromisoformat(sys.argv[2])
    began = time.perf_counter()
    events = open_events(sys.argv[1]).window(until - timedelta(days=365), until)
    collect(aggregated_stats(events, EventFilter()))
    print((time.perf_counter() - began) * 1000)"""


class Done(NamedTuple):
    """What a command took: seconds, and MiB at its peak."""

    seconds: float
    peak_mib: float


def lake(url: str, folder: Path, events: int, runs: int) -> dict[str, Any]:
    """Figures of a lake that is made in ``folder``, which is emptied before, of a database with so many events."""
    shutil.rmtree(folder, ignore_errors=True)
    settings = {"POSTGRES": url, "LAKE_URL": str(folder)}
    copied = _copied(url)
    first = _run("lake", "sync", **settings)
    scattered = [_cold(folder) for _ in range(runs)]
    optimized = _run("lake", "optimize", "--keep-hours", "0", **settings)
    figures = {
        "copy_per_second": events / copied,
        "first_sync_per_second": events / first.seconds,
        "first_sync_peak_mib": first.peak_mib,
        "optimize_s": optimized.seconds,
        "optimize_peak_mib": optimized.peak_mib,
        "year_cold_ms": [_cold(folder) for _ in range(runs)],
        "year_cold_before_optimize_ms": scattered,
        "lake_bytes_per_event": _size(folder) / events,
        "postgres_bytes_per_event": _one(url, "SELECT pg_total_relation_size('events')") / events,
    }
    verified = _run("lake", "verify", **settings)
    figures |= {"verify_per_second": events / verified.seconds, "verify_peak_mib": verified.peak_mib}
    return figures | _exports(folder.with_name("exports"), settings)


def _exports(folder: Path, settings: dict[str, str]) -> dict[str, float]:
    """Rows per second, and peaks, of exports of the last month, which end with one file for each of its days."""
    figures: dict[str, float] = {}
    month = ["--month", f"{UNTIL - timedelta(days=1):%Y-%m}"]
    for name, of in (("events", []), ("raw", []), ("scores", ["--by", "day"])):
        shutil.rmtree(folder, ignore_errors=True)
        done = _run("export", name, *of, *month, "--to", f"{folder}/{{date}}.parquet", **settings)
        rows = sum(pyarrow.parquet.read_metadata(file).num_rows for file in folder.glob("*.parquet"))
        figures |= {f"export_{name}_rows_per_second": rows / done.seconds, f"export_{name}_peak_mib": done.peak_mib}
    shutil.rmtree(folder)
    return figures


def live(url: str, folder: Path, seconds: int) -> dict[str, Any]:
    """Figures of the lake in ``folder`` while results come in, which the database has no more afterwards.

    They are the seconds of a sync that finds little to add, and of one that
    finds nothing, starting included; and, for so many seconds, how many the
    lake of a service is behind that syncs every INTERVAL.
    """
    settings = {"POSTGRES": url, "LAKE_URL": str(folder)}
    last = _one(url, "SELECT max(id) FROM events")
    try:
        append = [LEADERBOARD, "simulate", str(NEW), "--append", "--days", "1", "--until", UNTIL.isoformat()]
        subprocess.run(append, env=environment(**settings), check=True, stderr=subprocess.DEVNULL)
        some, none = _run("lake", "sync", **settings), _run("lake", "sync", **settings)
        lag = _lag(url, folder, seconds)
    finally:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("DELETE FROM events WHERE id > %s", (last,))
    return {f"sync_of_{NEW}_s": some.seconds, "sync_of_nothing_s": none.seconds, "background_lag_s": lag}


def _lag(url: str, folder: Path, seconds: int) -> list[float]:
    """For each of the results that are posted for so many seconds, the age of the lake by then, once syncs began."""
    secret, result, lake = "benchmark", json.dumps(RESULT).encode(), LakeEvents(str(folder))
    settings = {"LAKE_URL": str(folder), "LAKE_SYNC_INTERVAL": str(INTERVAL), "SECRET": secret}
    lag: list[float] = []
    with Running(url, 1, **settings) as service:
        before = lake.require_snapshot().version
        while len(lag) < seconds * 10:
            service.post(result, secret)
            time.sleep(0.1)
            snapshot = lake.require_snapshot()
            if snapshot.version > before:
                lag.append((datetime.now(UTC) - snapshot.as_of).total_seconds())
    return lag


def _run(*arguments: str, **settings: str) -> Done:
    began = time.perf_counter()
    process = subprocess.Popen([LEADERBOARD, *arguments], env=environment(**settings), stderr=subprocess.PIPE)
    with process.stderr as stderr:
        said = stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"leaderboard {' '.join(arguments)}: {said}")
    # of Linux in KiB, of macOS in bytes
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return Done(time.perf_counter() - began, usage.ru_maxrss / scale)


def _cold(folder: Path) -> float:
    command = [sys.executable, "-c", _COLD, str(folder), UNTIL.isoformat()]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _copied(url: str) -> float:
    """Seconds in which the database gives all its events to whoever only takes them."""
    began = time.perf_counter()
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor, open(os.devnull, "wb") as nowhere:
        cursor.copy_expert(_COPY, nowhere)
    return time.perf_counter() - began


def _one(url: str, statement: str) -> Any:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))
