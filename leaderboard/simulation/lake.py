"""Writes a simulation to a lake, as a sync would after its results were posted."""

from collections.abc import Callable, Iterator

import polars as pl

from leaderboard.lake.errors import LakeError
from leaderboard.lake.table import LakeTable, SyncPosition
from leaderboard.simulation.generator import Simulation
from queries import LAKE_SCHEMA, conform, hash64
from queries.concurrency import run_in_thread

FRAMES_PER_FILE = 2
"""Frames of the simulation in a file, which then has as many results as one of a sync."""


def write_lake(simulation: Simulation, url: str, progress: Callable[[str, int, int], None]) -> None:
    """Writes all results to a new lake at ``url`` (see LakeEvents), in one commit.

    It holds a limited number of results in memory at a time. The ids count
    from 1. The lake belongs to no database. Raises LakeError where there is a
    lake already, or where it cannot be written.
    """
    lake = LakeTable(url)
    if lake.snapshot() is not None:
        raise LakeError(f"there is a lake in {url} already; simulate to another place")
    change = lake.stage(_count(_read_ahead(_events(simulation)), simulation.events, progress))
    database = hash64(f"simulation {simulation}")
    lake.commit(change, SyncPosition(simulation.events, simulation.until, database, hash64("")))


def _events(simulation: Simulation) -> Iterator[pl.DataFrame]:
    """The results as LAKE_SCHEMA has them, in frames for one file each."""
    next_id, waiting = 1, list[pl.DataFrame]()
    for frame in simulation.frames():
        waiting.append(conform(frame.with_row_index("id", next_id)).select(LAKE_SCHEMA.names))
        next_id += frame.height
        if len(waiting) == FRAMES_PER_FILE:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


def _read_ahead(frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same frames. The next one is made while the caller is at work on one."""
    pending = run_in_thread(next, frames, None)
    while (frame := pending.result()) is not None:
        pending = run_in_thread(next, frames, None)
        yield frame


def _count(
    frames: Iterator[pl.DataFrame], total: int, progress: Callable[[str, int, int], None]
) -> Iterator[pl.DataFrame]:
    """The same frames. Reports how many results were written."""
    written = 0
    for frame in frames:
        progress("writing results", written, total)
        yield frame
        written += frame.height
