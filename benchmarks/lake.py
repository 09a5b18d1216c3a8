"""The lake: its commands in processes of their own, and a year's scores read from its files."""

import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet

from benchmarks.database import copy_seconds, discard_new_events, fetch_value, insert_results
from benchmarks.figures import Figure
from benchmarks.measured_queries import UNTIL
from benchmarks.service import LEADERBOARD, environment

NEW_RESULTS = 1000
"""Results that a sync finds when it has little to do."""
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


def measure_lake(url: str, folder: Path, events: int) -> list[Figure]:
    """Figures of a new lake in ``folder``, which is emptied first, of a database with so many events.

    Rates are compared with a plain COPY of the same columns.
    """
    shutil.rmtree(folder, ignore_errors=True)
    settings = {"POSTGRES": url, "LAKE_URL": str(folder)}
    copy_rate = [events / copy_seconds(url)]
    first_sync = _run_leaderboard("lake", "sync", **settings)
    optimize = _run_leaderboard("lake", "optimize", "--keep-hours", "0", **settings)
    verify = _run_leaderboard("lake", "verify", **settings)
    postgres_bytes = fetch_value(url, "SELECT pg_total_relation_size('events')")
    return [
        Figure("first sync", "per second", [events / first_sync.seconds], copy_rate, "COPY"),
        Figure("first sync, peak memory", "MiB", [first_sync.peak_mib]),
        Figure("optimize", "s", [optimize.seconds]),
        Figure("optimize, peak memory", "MiB", [optimize.peak_mib]),
        Figure("size of a result", "bytes", [_parquet_bytes(folder) / events], [postgres_bytes / events], "PostgreSQL"),
        Figure("verify", "per second", [events / verify.seconds], copy_rate, "COPY"),
        Figure("verify, peak memory", "MiB", [verify.peak_mib]),
        *_measure_exports(folder.with_name("exports"), settings, copy_rate),
    ]


def measure_year_from_files(folder: Path, runs: int, sql_ms: list[float]) -> Figure:
    """The time of a year's scores from the lake's files without a service, which take ``sql_ms`` in the database."""
    return Figure("a year's scores from files", "ms", [_year_from_files_ms(folder) for _ in range(runs)], sql_ms)


def measure_new_results(url: str, folder: Path) -> Figure:
    """The time of a sync that has little to do. The new results are deleted from the database afterwards."""
    # this compares all days if results were deleted since the last sync
    _run_leaderboard("lake", "sync", POSTGRES=url, LAKE_URL=str(folder))
    with discard_new_events(url):
        insert_results(url, NEW_RESULTS)
        sync = _run_leaderboard("lake", "sync", POSTGRES=url, LAKE_URL=str(folder))
    return Figure(f"sync of {NEW_RESULTS:,} results", "s", [sync.seconds])


def measure_sql(settings: dict[str, str], sql_ms: list[float]) -> Figure:
    """The time of ``leaderboard sql`` over one day, which takes ``sql_ms`` in the database."""
    day = f"{UNTIL - timedelta(days=1):%Y-%m-%d}"
    statement = f"SELECT * FROM scores_daily WHERE bucket = '{day}'"
    usage = _run_leaderboard("sql", statement, "--format", "csv", **settings)
    seconds = [milliseconds / 1000 for milliseconds in sql_ms]
    return Figure("leaderboard sql, scores_daily of a day", "s", [usage.seconds], seconds)


def _measure_exports(folder: Path, settings: dict[str, str], copy_rate: list[float]) -> list[Figure]:
    """Figures of exports of the last month."""
    figures = []
    month = f"{UNTIL - timedelta(days=1):%Y-%m}"
    for dataset, options in _EXPORTS.items():
        file = folder / f"{dataset}.parquet"
        usage = _run_leaderboard("export", dataset, *options, "--month", month, "--to", str(file), **settings)
        rows = pyarrow.parquet.read_metadata(file).num_rows
        figures.append(Figure(f"export {dataset}, rows", "per second", [rows / usage.seconds], copy_rate, "COPY"))
        figures.append(Figure(f"export {dataset}, peak memory", "MiB", [usage.peak_mib]))
    shutil.rmtree(folder)
    return figures


def _run_leaderboard(*arguments: str, **settings: str) -> CommandUsage:
    began = time.perf_counter()
    with subprocess.Popen(
        [LEADERBOARD, *arguments],
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
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
