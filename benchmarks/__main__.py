"""Measures the service over HTTP against the same queries in plain SQL over the same database.

``python -m benchmarks --events 1000000`` creates the data once, in a folder
that is kept between runs. It then asks the service and the database in turn,
since machines are noisy, and prints medians and their ratio. The service
caches no responses, so each one is computed. If wrk is on the PATH, the load
on a service with its cache is measured as well.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TextIO

import click
import psycopg2
from rich.console import Console
from rich.progress import track

from benchmarks.database import fill, run_sql
from benchmarks.figures import Figure, figures_table
from benchmarks.lake import measure_lake, measure_live_lake
from benchmarks.loads import measure_loads
from benchmarks.measured_queries import DAYS, MeasuredQuery, measured_queries
from benchmarks.service import MeasuredService
from leaderboard.postgres.embedded import EmbeddedPostgres

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
    console = Console(width=None if sys.stdout.isatty() else 120)
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
    lake, no_lake = data_dir / "lake", data_dir / "no-lake"
    postgres = EmbeddedPostgres(data_dir)
    url = postgres.acquire()
    try:
        fill(url, events, data_dir / f"{events}.made")
        with closing(psycopg2.connect(url)) as connection:
            queries = measured_queries(connection)
            with _uncached_service(url, no_lake) as service:
                figures = _measure_queries(queries, service, connection, runs)
                memory = Figure("memory of a worker that holds the year", "MiB", [service.memory_mib()])
        by_days = {query.days: query for query in queries if query.name == queries[0].name}
        day, year = by_days[min(DAYS)], by_days[max(DAYS)]
        sql_ms = {days: figures[queries.index(query)].sql_values for days, query in by_days.items()}
        loads = _measure_loads_if_possible(url, day.path, sql_ms[day.days], seconds)
        lake_figures = measure_lake(url, lake, events, runs, sql_ms[year.days])
        starts = [
            _measure_start("first response of a worker, one day", url, no_lake, day, sql_ms),
            _measure_start("first response of a worker, a year, without a lake", url, no_lake, year, sql_ms),
            _measure_start("first response of a worker, a year, with a lake", url, lake, year, sql_ms),
        ]
        return {
            "queries": figures,
            "service": [*starts, memory, *loads],
            "lake": lake_figures + measure_live_lake(url, lake, seconds),
        }
    finally:
        postgres.release()


def _uncached_service(url: str, lake: Path) -> MeasuredService:
    """The service with one worker and no cache of responses."""
    return MeasuredService(url, 1, LAKE_URL=str(lake), CACHE_TYPE="NullCache", PIPELINES_CACHE_TIMEOUT="0")


def _measure_queries(
    queries: list[MeasuredQuery], service: MeasuredService, connection: psycopg2.extensions.connection, runs: int
) -> list[Figure]:
    progress = track(queries, "measuring", console=Console(stderr=True))
    return [_measure_query(query, service, connection, runs) for query in progress]


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


def _measure_start(name: str, url: str, lake: Path, query: MeasuredQuery, sql_ms: dict[int, list[float]]) -> Figure:
    with _uncached_service(url, lake) as service:
        seconds = service.first_response_seconds(query.path)
    return Figure(name, "s", [seconds], [milliseconds / 1000 for milliseconds in sql_ms[query.days]])


def _measure_loads_if_possible(url: str, path: str, sql_ms: list[float], seconds: int) -> list[Figure]:
    if shutil.which("wrk") is None:
        click.echo("wrk is not installed, so load is not measured", err=True)
        return []
    return measure_loads(url, path, sql_ms, seconds)


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
