"""Shows how far a long command has come: a bar on a terminal, a line every 10 seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TextIO

import click

PROGRESS_LINE_SECONDS = 10.0

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and the total, which is 0 where nobody knows it."""


@contextmanager
def show_progress(stream: TextIO | None = None, line_seconds: float = PROGRESS_LINE_SECONDS) -> Iterator[Progress]:
    """Yields a function that takes the progress. It is shown on ``stream``, by default standard error."""
    stream = stream or sys.stderr
    with _show_bar(stream) if stream.isatty() else _show_lines(stream, line_seconds) as progress:
        yield progress


@contextmanager
def _show_bar(stream: TextIO) -> Iterator[Progress]:
    # most commands run without a terminal, or end without a bar
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def progress(doing: str, done: int, total: int) -> None:
            # totals are sometimes estimates
            bar.update(task, description=doing, completed=done, total=max(done, total) if total else None)

        yield progress


@contextmanager
def _show_lines(stream: TextIO, line_seconds: float) -> Iterator[Progress]:
    """Prints from a thread, so that a step that takes long does not look like a hang."""
    started = time.monotonic()
    latest = ["starting"]
    ended = Event()

    def print_lines() -> None:
        while not ended.wait(line_seconds):
            click.echo(f"{latest[0]} ({time.monotonic() - started:.0f} s)", file=stream)

    def progress(doing: str, done: int, total: int) -> None:
        count = f": {done:,} of {max(done, total):,}" if total else f": {done:,}" if done else ""
        latest[0] = f"{doing}{count}"

    thread = Thread(target=print_lines, name="progress", daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()
