"""Times the service's answers over HTTP against the same questions in plain SQL over the same database.

``python -m benchmarks --events 1000000`` makes the data once, in a folder that
is kept between runs. Then it asks the service and the database in turn, in the
same run, since machines are noisy, and prints the medians and their ratio. The
service keeps no answers meanwhile, so each is computed. With wrk on the PATH it
then measures load, over a service that keeps them.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO

import click
import psycopg2
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.lake import lake, live
from benchmarks.load import loads
from benchmarks.questions import DAYS, UNTIL, Question, questions
from benchmarks.running import LEADERBOARD, Running, environment
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.migrations import migrate


@click.command()
@click.option(
    "--events",
    "sizes",
    default=(1_000_000,),
    show_default=True,
    type=click.IntRange(1),
    multiple=True,
    help="Results over a year; several times to see the growth.",
)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Times each question is asked.")
@click.option("--seconds", default=5, show_default=True, type=click.IntRange(1), help="How long each load lasts.")
@click.option("--json", "json_file", type=click.File("w"), help="File for the figures as JSON.")
def main(sizes: tuple[int, ...], runs: int, seconds: int, json_file: TextIO | None) -> None:
    """Times the service against plain SQL over the same database."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    figures = []
    for events in sizes:
        figures.append(_benchmark(events, runs, seconds))
        console.print(_questions_table(figures[-1]), _service_table(figures[-1]), _lake_table(figures[-1]["lake"]))
    if json_file:
        json.dump({"runs": runs, "figures": figures}, json_file, indent=1)


def _benchmark(events: int, runs: int, seconds: int) -> dict[str, Any]:
    data = Path(tempfile.gettempdir()) / f"leaderboard-benchmark-{events}"
    postgres = EmbeddedPostgres(data)
    url = postgres.acquire()
    try:
        _fill(data, url, events)
        with closing(psycopg2.connect(url)) as connection:
            asked = questions(connection)
            with _alone(url, data / "no-lake") as service:
                first = service.first_answer(asked[0].path)
                shown = track(asked, "asking", console=Console(stderr=True))
                answers = [_measure(question, service, connection, runs) for question in shown]
                memory = service.memory()
        figures = {"events": events, "answers": answers, "first_answer_s": first, "memory_mib": memory}
        figures["loads"] = _loads(url, asked[0].path, seconds)
        figures["lake"] = lake(url, data / "lake", events, runs)
        year = next(question.path for question in asked if question.days == max(DAYS))
        for name, folder in (("with", data / "lake"), ("without", data / "no-lake")):
            with _alone(url, folder) as service:
                figures["lake"][f"first_answer_of_a_year_{name}_lake_s"] = service.first_answer(year)
        figures["lake"] |= live(url, data / "lake", seconds)
        return figures
    finally:
        postgres.release()


def _alone(url: str, folder: Path) -> Running:
    """The service as one worker that keeps no answers."""
    return Running(url, 1, LAKE_URL=str(folder), CACHE_TYPE="NullCache", PIPELINES_CACHE_TIMEOUT="0")


def _fill(data: Path, url: str, events: int) -> None:
    migrate(url, 20)
    made = data / f"{events}.made"
    if made.exists():
        return
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        # what a run that was cut short has left
        cursor.execute("TRUNCATE events")
    command = [LEADERBOARD, "simulate", str(events), "--until", UNTIL.isoformat()]
    subprocess.run(command, env=environment(POSTGRES=url), check=True)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        # as autovacuum would by and by
        cursor.execute("VACUUM ANALYZE")
    made.touch()


def _measure(
    question: Question, service: Running, connection: psycopg2.extensions.connection, runs: int
) -> dict[str, Any]:
    size = service.get(question.path)
    _query(connection, question)
    answer, sql = [], []
    for _ in range(runs):
        answer.append(_milliseconds(lambda: service.get(question.path)))
        sql.append(_milliseconds(lambda: _query(connection, question)))
    return {"question": question.name, "days": question.days, "bytes": size, "service_ms": answer, "sql_ms": sql}


def _query(connection: psycopg2.extensions.connection, question: Question) -> None:
    with connection, connection.cursor() as cursor:
        for statement in question.sql:
            cursor.execute(statement, question.parameters)
            cursor.fetchall()


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _loads(url: str, path: str, seconds: int) -> list[dict[str, Any]]:
    if shutil.which("wrk") is None:
        click.echo("wrk is not installed, so load is not measured", err=True)
        return []
    secret = "benchmark"
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT max(id) FROM events")
        (last,) = cursor.fetchone()
        try:
            with tempfile.TemporaryDirectory() as folder, Running(url, SECRET=secret) as service:
                service.get(path)
                return loads(service.url, secret, path, Path(folder), seconds)
        finally:
            cursor.execute("DELETE FROM events WHERE id > %s", (last,))
            cursor.execute("VACUUM ANALYZE events")


def _questions_table(figures: dict[str, Any]) -> Table:
    table = Table(title=f"{figures['events']:,} results over a year, medians")
    for heading in ("question", "days", "answer", "service", "plain SQL", "SQL / service"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    for answer in figures["answers"]:
        service, sql = statistics.median(answer["service_ms"]), statistics.median(answer["sql_ms"])
        row = (f"{answer['bytes'] / 1000:,.1f} kB", f"{service:,.1f} ms", f"{sql:,.1f} ms", f"{sql / service:.1f} ×")
        table.add_row(answer["question"], str(answer["days"]), *row)
    return table


def _service_table(figures: dict[str, Any]) -> Table:
    table = Table("the service", "figure")
    table.add_row("first good answer of a worker after its start, one day", f"{figures['first_answer_s']:.2f} s")
    table.add_row("memory of a worker that holds the year", f"{figures['memory_mib']:,.0f} MiB")
    for load in figures["loads"]:
        table.add_row(f"{load['load']}, {load['connections']} connections", f"{load['per_second']:,.0f} per second")
    return table


def _lake_table(figures: dict[str, Any]) -> Table:
    table = Table("the lake", "figure")
    for name, figure in figures.items():
        value = statistics.median(figure) if isinstance(figure, list) else figure
        table.add_row(name.replace("_", " "), f"{value:,.2f}" if value < 10 else f"{value:,.0f}")
    return table


if __name__ == "__main__":
    main()
