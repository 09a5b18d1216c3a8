"""Measures the service over HTTP against the same queries in plain SQL over the same database.

``python -m benchmarks --events 1000000`` creates the data once, in a folder
that is kept between runs. It then asks the service and the database in turn,
since machines are noisy, and prints medians and their ratio. This service caches no
responses, so each one is computed. Another one with its cache is put under
load by wrk, if that is on the PATH, directly and through nginx.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TextIO

import click
import psycopg2
from rich.console import Console
from rich.progress import track

from benchmarks.database import discard_new_events, fill, run_sql
from benchmarks.figures import Figure, figures_table
from benchmarks.lake import measure_lake, measure_new_results, measure_sql, measure_year_from_files
from benchmarks.loads import measure_loads
from benchmarks.measured_queries import DAILY_SCORES, DAYS, MeasuredQuery, measured_queries
from benchmarks.service import MeasuredService
from benchmarks.starts import (
    POSTS_PER_SECOND,
    SECRET,
    measure_fresh_service,
    measure_memory,
    measure_start,
    wait_until_decoded,
)
from leaderboard.postgres.embedded import EmbeddedPostgres

RUNS_FACTOR = 10
"""So many times as often a response is asked for again and again, which takes milliseconds."""

Figures = dict[str, list[Figure]]


@click.command()
@click.option(
    "--events",
    "sizes",
    default=(1_000_000,),
    show_default=True,
    type=click.IntRange(1),
    multiple=True,
    help="Results in a year. Repeat it to compare sizes.",
)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Repetitions of each query.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1), help="Duration of each load.")
@click.option("--json", "json_file", type=click.File("w"), help="File for the figures as JSON.")
def main(sizes: tuple[int, ...], runs: int, seconds: int, json_file: TextIO | None) -> None:
    """Measure the service against plain SQL over the same database."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    results = []
    for events in sizes:
        sections = _measure(events, runs, seconds)
        for section, figures in sections.items():
            console.print(figures_table(f"{section}, {events:,} results in a year", figures))
        as_json = {section: [figure.as_json() for figure in figures] for section, figures in sections.items()}
        results.append({"events": events} | as_json)
    if json_file:
        json.dump({"runs": runs, "results": results}, json_file, indent=1)


def _measure(events: int, runs: int, seconds: int) -> Figures:
    """The figures of all sections over a database with so many events."""
    data_dir = Path(tempfile.gettempdir()) / f"leaderboard-benchmark-{events}"
    lake = data_dir / "lake"
    postgres = EmbeddedPostgres(data_dir)
    url = postgres.acquire()
    try:
        fill(url, events, data_dir / f"{events}.made")
        lake_figures = measure_lake(url, lake, events)
        decoded = data_dir / "decoded-lake"
        shutil.rmtree(decoded, ignore_errors=True)
        settings = {"LAKE_URL": str(lake), "LAKE_SYNC_INTERVAL": "0", "DATA_DIR": str(decoded)}
        uncached = {"CACHE_TYPE": "NullCache", "PIPELINES_CACHE_TIMEOUT": "0"}
        with closing(psycopg2.connect(url)) as connection, MeasuredService(url, 1, **settings, **uncached) as service:
            wait_until_decoded(lake, decoded)
            queries = measured_queries(connection)
            figures = [_measure_query(query, service, connection, runs) for query in _with_progress(queries)]
            sql_ms = {query: figure.plain_values for query, figure in zip(queries, figures, strict=True)}
            day, year = (next(query for query in queries if query.days == days) for days in (min(DAYS), max(DAYS)))
            repeated = [
                _measure_repeated(service, query, "again and again", sql_ms[query], runs)
                for query in queries
                if query.days == min(DAYS)
            ]
            starts = measure_start(service, year, sql_ms[year])
        with discard_new_events(url), MeasuredService(url, None, SECRET=SECRET, **settings) as service:
            memory = measure_memory(service, year)
            repeated.append(_measure_repeated(service, day, "kept", sql_ms[day], runs))
            loads = measure_loads(service, url, SECRET, day.path, seconds)
        fresh = measure_fresh_service(url, data_dir / "fresh", year, sql_ms[year], posts=seconds * POSTS_PER_SECOND)
        history = next(query for query in queries if (query.name, query.days) == (DAILY_SCORES, min(DAYS)))
        lake_figures += [
            measure_year_from_files(lake, runs, sql_ms[year]),
            measure_sql({"POSTGRES": url} | settings, sql_ms[history]),
            measure_new_results(url, lake),
        ]
        return {"queries": [*figures, *repeated], "service": [*fresh, *starts, *memory, *loads], "lake": lake_figures}
    finally:
        postgres.release()


def _with_progress(queries: list[MeasuredQuery]) -> Iterable[MeasuredQuery]:
    return track(queries, "measuring", console=Console(stderr=True))


def _measure_query(
    query: MeasuredQuery, service: MeasuredService, connection: psycopg2.extensions.connection, runs: int
) -> Figure:
    # once without a clock, so that both have what they need in memory
    size = service.get(query.path)
    run_sql(connection, query)
    service_ms, sql_ms = [], []
    for _ in range(runs):
        service_ms.append(_milliseconds(lambda: service.get(query.path)))
        sql_ms.append(_milliseconds(lambda: run_sql(connection, query)))
    return Figure(f"{query.name}, {query.days} d, {size / 1000:,.1f} kB", "ms", service_ms, sql_ms)


def _measure_repeated(
    service: MeasuredService, query: MeasuredQuery, what: str, sql_ms: list[float], runs: int
) -> Figure:
    """The time of a response where the service was asked for nothing else meanwhile."""
    service.get_from_each_worker(query.path)
    milliseconds = [_milliseconds(lambda: service.get(query.path)) for _ in range(RUNS_FACTOR * runs)]
    return Figure(f"{query.name}, {query.days} d, {what}", "ms", milliseconds, sql_ms)


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
