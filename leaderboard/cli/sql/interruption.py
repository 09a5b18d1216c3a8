"""Runs DuckDB on another thread, so that Ctrl-C and other signals end a statement that takes long.

Python handles signals on the main thread, and between its own instructions
only. A main thread inside DuckDB would not notice them.
"""

import io
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from queries.concurrency import run_in_thread

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from duckdb import DuckDBPyConnection

POLL_SECONDS = 0.1
CHUNK_BYTES = 1 << 18
MAX_QUEUED_CHUNKS = 8

T = TypeVar("T")


def run_interruptible(connection: "DuckDBPyConnection", call: Callable[[], T]) -> T:
    """What ``call()`` returns or raises. Whatever interrupts the wait for it cancels its statement."""
    outcome = run_in_thread(call)
    try:
        while not outcome.done():
            wait([outcome], POLL_SECONDS)
    except BaseException:
        _cancel(connection, outcome)
        raise
    return outcome.result()


def stream_interruptible(connection: "DuckDBPyConnection", write: Callable[[BinaryIO], object], out: BinaryIO) -> None:
    """Passes what ``write`` writes on to ``out``, a chunk at a time.

    The main thread writes to ``out``, because a full pipe may block it. Raises
    what ``write`` raises.
    """
    chunks = _ChunkQueue()
    outcome = run_in_thread(_write_all, write, chunks)
    try:
        while not (outcome.done() and chunks.is_empty()):
            out.write(chunks.next_chunk())
        out.flush()
    except BaseException:
        chunks.abandon()
        _cancel(connection, outcome)
        raise
    outcome.result()


def _write_all(write: Callable[[BinaryIO], object], chunks: "_ChunkQueue") -> None:
    with io.BufferedWriter(chunks, CHUNK_BYTES) as buffered:
        write(buffered)


def _cancel(connection: "DuckDBPyConnection", outcome: Future[T]) -> None:
    while not outcome.done():
        # an interruption before the statement begins has no effect
        connection.interrupt()
        wait([outcome], POLL_SECONDS)


class _ChunkQueue(io.RawIOBase):
    """A file whose chunks another thread takes. Writing waits while many of them are queued."""

    def __init__(self) -> None:
        self._chunks: Queue[bytes] = Queue(MAX_QUEUED_CHUNKS)
        self._abandoned = False

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: "ReadableBuffer") -> int:
        """Queues the data. Raises BrokenPipeError after ``abandon``."""
        chunk = bytes(data)
        while not self._abandoned:
            try:
                self._chunks.put(chunk, timeout=POLL_SECONDS)
                return len(chunk)
            except Full:
                pass
        raise BrokenPipeError("nobody reads the output")

    def is_empty(self) -> bool:
        """Whether no chunk is queued."""
        return self._chunks.empty()

    def next_chunk(self) -> bytes:
        """The oldest chunk, or none if there is none for a moment."""
        try:
            return self._chunks.get(timeout=POLL_SECONDS)
        except Empty:
            return b""

    def abandon(self) -> None:
        """Has ``write`` fail from now on."""
        self._abandoned = True
