"""Measures questions about a year over lakes of more and more results, without a database or a service.

``python -m benchmarks.growth --results 1000000 --results 10000000`` makes each
lake once, in a folder that is kept between runs. It asks each question in a new
process: first of the lake's files, then of the files that are decoded. Before
the first answer, the operating system forgets the pages of these files. A lake
of more results than are simulated has several copies of each file.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TextIO

import click
import polars as pl
import psutil
from rich.console import Console

from benchmarks.figures import Figure, figures_table
from benchmarks.measured_queries import UNTIL
from leaderboard.simulation.generator import Simulation
from leaderboard.simulation.lake import write_lake
from leaderboard.web.rendering import run_aggregated_stats, run_query
from queries import AI, FORMULA_2, DecodedLake, EventFilter, EventPart, EventWindow, LakeEvents, ranking, score_history
from queries.times import to_micros

SINCE = UNTIL - timedelta(days=365)
MAX_SIMULATED_RESULTS = 10_000_000
MAX_DECODED_BYTES = 64 << 30
QUESTIONS: dict[str, Callable[[EventWindow], pl.DataFrame]] = {
    "transcoding scores": lambda window: run_aggregated_stats(window, EventFilter(), FORMULA_2),
    "AI scores": lambda window: run_aggregated_stats(window, EventFilter(job_type=AI), FORMULA_2),
    "history of the network": lambda window: run_query(score_history, window, EventFilter(), group_columns=()),
    "ranking": lambda window: run_query(ranking, window, EventFilter()),
}


class Usage(NamedTuple):
    """What a process took for a question: seconds of the first answer and of the others, its memory in MiB.

    ``cpu`` is that of each other answer, on all cores. It says more on a busy machine.
    """

    first: float
    others: list[float]
    cpu: list[float]
    peak_mib: float
    own_mib: float


@click.command()
@click.option(
    "--results",
    "sizes",
    default=(1_000_000,),
    show_default=True,
    type=click.IntRange(1),
    multiple=True,
    help=f"Results in a year, above {MAX_SIMULATED_RESULTS:,} a multiple of it. Repeat it to compare sizes.",
)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Answers after the first one.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the lakes are kept.  [default: below /tmp]")
@click.option("--json", "json_file", type=click.File("w"), help="File for the figures as JSON.")
def main(sizes: tuple[int, ...], runs: int, folder: Path | None, json_file: TextIO | None) -> None:
    """Measure questions about a year over lakes of several sizes."""
    folder = folder or Path(tempfile.gettempdir()) / "leaderboard-growth"
    console = Console(width=None if sys.stdout.isatty() else 120)
    results = []
    for size in sizes:
        figures = _measure(folder, size, runs)
        console.print(figures_table(f"{size:,} results in a year", figures))
        results.append({"results": size, "figures": [figure.as_json() for figure in figures]})
    if json_file:
        json.dump({"runs": runs, "results": results}, json_file, indent=1)


def _measure(folder: Path, results: int, runs: int) -> list[Figure]:
    lake, decoded = folder / f"{results}", folder / f"{results}-decoded"
    figures = _make_lake(folder, results)
    began = time.perf_counter()
    DecodedLake(decoded, MAX_DECODED_BYTES).decode(LakeEvents(str(lake)).require_snapshot())
    # with a folder of an earlier run there is nothing to do
    seconds = time.perf_counter() - began
    figures += [
        Figure("size of a result in the lake", "bytes", [_bytes(lake) / results]),
        Figure("size of a decoded result", "bytes", [_bytes(decoded) / results]),
        Figure("decoding of the files that were missing", "s", [seconds]),
    ]
    for source, files in (("lake", None), ("decoded", decoded)):
        for question in QUESTIONS:
            _forget_pages(files or lake)
            # a new process each time, in which nothing is loaded or cached
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                usage = process.submit(_ask, str(lake), files, question, runs).result()
            figures += _usage_figures(f"{question}, {source}", usage)
    return figures


def _usage_figures(name: str, usage: Usage) -> Iterable[Figure]:
    return (
        Figure(f"{name}, first answer", "s", [usage.first]),
        Figure(f"{name}, later answers", "s", usage.others),
        Figure(f"{name}, CPU of later answers", "s", usage.cpu),
        Figure(f"{name}, peak memory", "MiB", [usage.peak_mib]),
        Figure(f"{name}, own memory", "MiB", [usage.own_mib]),
    )


def _ask(lake: str, decoded: Path | None, question: str, runs: int) -> Usage:
    """Asks the question once and then ``runs`` times, of decoded files if there is a folder of them."""
    moments, cpu = [time.perf_counter()], [time.process_time()]
    snapshot = LakeEvents(lake).require_snapshot()
    mapped = None if decoded is None else DecodedLake(decoded, MAX_DECODED_BYTES).open(snapshot)
    window = EventWindow(None, lambda: [EventPart(snapshot.window(SINCE, UNTIL))])
    if mapped is not None:
        frames = mapped.window(to_micros(SINCE), to_micros(UNTIL))
        window = EventWindow(None, lambda: [EventPart(frame, mapped.batch_of(frame)) for frame in frames])
    for _ in range(1 + runs):
        QUESTIONS[question](window)
        moments.append(time.perf_counter())
        cpu.append(time.process_time())
    first, *others = (end - start for start, end in pairwise(moments))
    _, *cpu_of_others = (end - start for start, end in pairwise(cpu))
    # KiB on Linux, bytes on macOS
    units_per_mib = 2**20 if sys.platform == "darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / units_per_mib
    return Usage(first, others, cpu_of_others, peak, psutil.Process().memory_full_info().uss / 2**20)


def _make_lake(folder: Path, results: int) -> list[Figure]:
    """Makes the lake if it is not there, and returns how quickly it was simulated, if it was."""
    lake, partial = folder / f"{results}", folder / f"{results}-partial"
    if lake.exists():
        return []
    shutil.rmtree(partial, ignore_errors=True)
    figures = []
    if results <= MAX_SIMULATED_RESULTS:
        began = time.perf_counter()
        write_lake(Simulation(results, SINCE, UNTIL), str(partial), lambda *_: None)
        figures = [Figure("simulated results", "per second", [results / (time.perf_counter() - began)])]
    else:
        copies, rest = divmod(results, MAX_SIMULATED_RESULTS)
        if rest:
            raise click.BadParameter(
                f"must be a multiple of {MAX_SIMULATED_RESULTS:,} above it", param_hint="--results"
            )
        _make_lake(folder, MAX_SIMULATED_RESULTS)
        shutil.copytree(folder / f"{MAX_SIMULATED_RESULTS}", partial)
        _copy_files(partial, copies)
    partial.rename(lake)
    return figures


def _copy_files(lake: Path, copies: int) -> None:
    """Gives the lake so many copies of each of its files, by the log of its only write."""
    log = lake / "_delta_log" / f"{1:020}.json"
    actions = []
    for line in log.read_text().splitlines():
        actions.append(line)
        if (added := json.loads(line).get("add")) is None:
            continue
        for number in range(1, copies):
            path = added["path"].replace(".parquet", f"-{number}.parquet")
            shutil.copyfile(lake / added["path"], lake / path)
            actions.append(json.dumps({"add": added | {"path": path}}))
    log.write_text("\n".join(actions))


def _forget_pages(folder: Path) -> None:
    """Takes the files of a folder out of the memory of the operating system."""
    os.sync()
    for path in filter(Path.is_file, folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
