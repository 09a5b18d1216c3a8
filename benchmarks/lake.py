"""The lake: its commands in processes of their own, and a year's scores read from its files."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet

from benchmarks.database import RESULT, copy_seconds, discard_new_events, fetch_value
from benchmarks.figures import Figure
from benchmarks.measured_queries import UNTIL
from benchmarks.service import LEADERBOARD, MeasuredService, environment
from queries import LakeEvents

NEW_RESULTS = 1000
"""Results that a sync finds when it has little to do."""
SYNC_INTERVAL_SECONDS = 1
POSTS_PER_SECOND = 10
_EXPORTS = {"events": [], "raw": [], "scores": ["--by", "day"]}
# a new process each time, so that nothing is loaded or cached
_YEAR_FROM_FILES = """if True:
    import sys, time
    from datetime import datetime, timedelta
    from queries import EventFilter, aggregated_stats, collect, open_events
    until = datetime.fromisoformat(sys.argv[2])
    began = time.perf_counter()
    events = open_events(sys.argv[1]).window(until - timedelta(days=365), until)
    collect(aggregated_stats(events, EventFilter()))
    print((time.perf_counter() - began) * 1000)"""


class CommandUsage(NamedTuple):
    """What a command took."""

    seconds: float
    peak_mib: float


def measure_lake(url: str, folder: Path, events: int, runs: int, year_sql_ms: list[float]) -> list[Figure]:
    """Figures of a new lake in ``folder``, which is emptied first, of a database with so many events.

    Rates are compared with a plain COPY of the same columns, and a year's
    scores with those in plain SQL, which take ``year_sql_ms``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    settings = {"POSTGRES": url, "LAKE_URL": str(folder)}
    copy_rate = [events / copy_seconds(url)]
    first_sync = _run_leaderboard("lake", "sync", **settings)
    before_optimize = [_year_from_files_ms(folder) for _ in range(runs)]
    optimize = _run_leaderboard("lake", "optimize", "--keep-hours", "0", **settings)
    after_optimize = [_year_from_files_ms(folder) for _ in range(runs)]
    verify = _run_leaderboard("lake", "verify", **settings)
    postgres_bytes = fetch_value(url, "SELECT pg_total_relation_size('events')")
    return [
        Figure("first sync", "per second", [events / first_sync.seconds], copy_rate),
        Figure("first sync, peak memory", "MiB", [first_sync.peak_mib]),
        Figure("optimize", "s", [optimize.seconds]),
        Figure("optimize, peak memory", "MiB", [optimize.peak_mib]),
        Figure("a year's scores from files, before optimize", "ms", before_optimize, year_sql_ms),
        Figure("a year's scores from files", "ms", after_optimize, year_sql_ms),
        Figure("size of a result", "bytes", [_parquet_bytes(folder) / events], [postgres_bytes / events]),
        Figure("verify", "per second", [events / verify.seconds], copy_rate),
        Figure("verify, peak memory", "MiB", [verify.peak_mib]),
        *_measure_exports(folder.with_name("exports"), settings, copy_rate),
    ]


def measure_live_lake(url: str, folder: Path, seconds: int) -> list[Figure]:
    """Figures of the lake in ``folder`` while results come in. They are deleted from the database afterwards."""
    settings = {"POSTGRES": url, "LAKE_URL": str(folder)}
    with discard_new_events(url):
        append = [LEADERBOARD, "simulate", str(NEW_RESULTS), "--append", "--days", "1", "--until", UNTIL.isoformat()]
        subprocess.run(append, env=environment(**settings), check=True, stderr=subprocess.DEVNULL)
        small_sync, empty_sync = (_run_leaderboard("lake", "sync", **settings) for _ in range(2))
        lags = _background_lags(url, folder, seconds * POSTS_PER_SECOND)
    return [
        Figure(f"sync of {NEW_RESULTS:,} results", "s", [small_sync.seconds]),
        Figure("sync of nothing", "s", [empty_sync.seconds]),
        Figure(f"lag of a lake that is synced every {SYNC_INTERVAL_SECONDS} s", "s", lags),
    ]


def _measure_exports(folder: Path, settings: dict[str, str], copy_rate: list[float]) -> list[Figure]:
    """Figures of exports of the last month, with one file per day."""
    figures = []
    month = ["--month", f"{UNTIL - timedelta(days=1):%Y-%m}"]
    for dataset, options in _EXPORTS.items():
        shutil.rmtree(folder, ignore_errors=True)
        target = f"{folder}/{{date}}.parquet"
        usage = _run_leaderboard("export", dataset, *options, *month, "--to", target, **settings)
        rows = sum(pyarrow.parquet.read_metadata(file).num_rows for file in folder.glob("*.parquet"))
        figures.append(Figure(f"export {dataset}, rows", "per second", [rows / usage.seconds], copy_rate))
        figures.append(Figure(f"export {dataset}, peak memory", "MiB", [usage.peak_mib]))
    shutil.rmtree(folder)
    return figures


def _background_lags(url: str, folder: Path, posts: int) -> list[float]:
    """The age of the lake in seconds, at each of so many posts after the first background sync."""
    secret, result, lake = "benchmark", json.dumps(RESULT).encode(), LakeEvents(str(folder))
    settings = {"LAKE_URL": str(folder), "LAKE_SYNC_INTERVAL": str(SYNC_INTERVAL_SECONDS), "SECRET": secret}
    lags: list[float] = []
    with MeasuredService(url, 1, **settings) as service:
        version = lake.require_snapshot().version
        while len(lags) < posts:
            service.post(result, secret)
            time.sleep(1 / POSTS_PER_SECOND)
            snapshot = lake.require_snapshot()
            if snapshot.version > version:
                lags.append((datetime.now(UTC) - snapshot.as_of).total_seconds())
    return lags


def _run_leaderboard(*arguments: str, **settings: str) -> CommandUsage:
    began = time.perf_counter()
    with subprocess.Popen(
        [LEADERBOARD, *arguments], env=environment(**settings), stderr=subprocess.PIPE, text=True
    ) as process:
        messages = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"leaderboard {' '.join(arguments)}: {messages}")
    # KiB on Linux, bytes on macOS
    units_per_mib = 2**20 if sys.platform == "darwin" else 2**10
    return CommandUsage(time.perf_counter() - began, usage.ru_maxrss / units_per_mib)


def _year_from_files_ms(folder: Path) -> float:
    command = [sys.executable, "-c", _YEAR_FROM_FILES, str(folder), UNTIL.isoformat()]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _parquet_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))
