"""Files of a folder that appear whole or not at all, written by one process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from uuid import uuid4

LOCK_NAME, PARTIAL_SUFFIX = ".lock", ".partial"


@contextmanager
def folder_lock(folder: Path, *, waits: bool = True) -> Iterator[bool]:
    """Whether this process may write to the folder until the ``with`` block ends.

    Without ``waits``, it may not while another one does. The lock ends with
    the process that has it. Raises OSError.
    """
    with open(folder / LOCK_NAME, "ab") as file:
        try:
            flock(file, LOCK_EX if waits else LOCK_EX | LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # a writer that was killed left these
        for leftover in folder.glob(f"*{PARTIAL_SUFFIX}"):
            leftover.unlink(missing_ok=True)
        yield True


@contextmanager
def partial_file(folder: Path) -> Iterator[Path]:
    """The path of a new file, for the holder of the lock. It is deleted at the end unless ``publish`` renamed it."""
    path = folder / f"{uuid4().hex}{PARTIAL_SUFFIX}"
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def publish(partial: Path, destination: Path) -> None:
    """Renames a partial file. After the call it survives a power failure. Raises OSError."""
    sync_to_disk(partial)
    partial.replace(destination)
    sync_to_disk(destination.parent)


def sync_to_disk(path: Path) -> None:
    """Returns when a file or a folder would survive a power failure. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
