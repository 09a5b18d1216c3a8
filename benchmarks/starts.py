"""What the first requests wait for, and the memory that workers take."""

import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.database import RESULT, discard_new_events, fetch_value
from benchmarks.figures import Figure
from benchmarks.measured_queries import MeasuredQuery
from benchmarks.service import MeasuredService
from queries import LakeEvents
from queries.sources.decoded.decoded_files import file_key

SECRET = "benchmark"
SYNC_INTERVAL_SECONDS = 1
POSTS_PER_SECOND = 10
MAX_SYNC_SECONDS = 3600
"""A first sync that takes longer has failed."""


def measure_fresh_service(url: str, folder: Path, year: MeasuredQuery, sql_ms: list[float], posts: int) -> list[Figure]:
    """Figures of a service that makes its lake in ``folder``, its DATA_DIR, which is emptied first.

    The answers about ``year`` take ``sql_ms`` in SQL. The lag of the lake is
    measured at each of ``posts`` results, which are deleted from the database
    afterwards.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lake_folder = folder / "lake"
    settings = {
        "DATA_DIR": str(folder),
        "LAKE_URL": str(lake_folder),
        "LAKE_SYNC_INTERVAL": str(SYNC_INTERVAL_SECONDS),
        "SECRET": SECRET,
    }
    lake, sql_seconds = LakeEvents(str(lake_folder)), [value / 1000 for value in sql_ms]
    with discard_new_events(url), MeasuredService(url, 1, **settings) as service:
        began = time.perf_counter()
        first = _seconds(lambda: service.get(year.path))
        max_id = fetch_value(url, "SELECT max(id) FROM events")
        _wait_until(lambda: (snapshot := lake.snapshot()) is not None and snapshot.watermark >= max_id)
        wait_until_decoded(lake_folder, folder)
        complete = time.perf_counter() - began
        then = _seconds(lambda: service.get(year.path))
        lags = _lags(service, lake, posts)
    return [
        Figure("a year, first response of a fresh service", "s", [first], sql_seconds),
        Figure("until its lake is written and decoded", "s", [complete]),
        Figure("a year, first response with that lake", "s", [then], sql_seconds),
        Figure(f"lag of a lake that is synced every {SYNC_INTERVAL_SECONDS} s", "s", lags),
    ]


def measure_start(service: MeasuredService, year: MeasuredQuery, sql_ms: list[float]) -> list[Figure]:
    """The times of a new worker, which has a lake: until it is ready, and of its first response."""
    ready = service.replace_workers()
    first = _seconds(lambda: service.get(year.path))
    return [
        Figure("start of a worker", "s", [ready]),
        Figure("a year, first response of a worker with a lake", "s", [first], [value / 1000 for value in sql_ms]),
    ]


def measure_memory(service: MeasuredService, year: MeasuredQuery) -> list[Figure]:
    """The memory of workers that have answered ``year``."""
    service.get_from_each_worker(year.path)
    used = service.memory_by_worker()
    name = f"memory of a worker, {len(used)} hold a year"
    return [
        Figure(f"{name}: own", "MiB", [memory.own for memory in used]),
        Figure(f"{name}: part of what is shared", "MiB", [memory.shared for memory in used]),
    ]


def wait_until_decoded(lake_folder: Path, data_dir: Path) -> None:
    """Returns when a service has decoded each file of its lake."""
    keys = {file_key(uri) for uri in LakeEvents(str(lake_folder)).require_snapshot().files["uri"]}
    _wait_until(lambda: keys <= {file.name.partition("-")[0] for file in (data_dir / "decoded").rglob("*.arrow")})


def _wait_until(is_reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MAX_SYNC_SECONDS
    while not is_reached():
        if time.monotonic() > deadline:
            raise RuntimeError("the service does not complete its lake")
        time.sleep(0.1)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _lags(service: MeasuredService, lake: LakeEvents, posts: int) -> list[float]:
    """The age of the lake in seconds, at each of so many posts, from the first one on that the lake has."""
    result, lags = json.dumps(RESULT).encode(), list[float]()
    watermark = lake.require_snapshot().watermark
    while len(lags) < posts:
        service.post(result, SECRET)
        time.sleep(1 / POSTS_PER_SECOND)
        snapshot = lake.require_snapshot()
        if snapshot.watermark > watermark:
            lags.append((datetime.now(UTC) - snapshot.as_of).total_seconds())
    return lags
