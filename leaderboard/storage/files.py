"""Files in a folder or an object store: each appears whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from glob import escape
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import uuid4

import obstore
from obstore.store import LocalStore, from_url

from queries import is_local_path

UNFINISHED = ".partial"
"""What the name of a file ends with that is being written; it begins with a dot."""


class Files:
    """The files under ``url``: a folder, which is made where there is none, s3://…, gs://… or az://….

    Every call raises obstore's BaseError, or OSError.
    """

    def __init__(self, url: str) -> None:
        self._folder = Path(url.removeprefix("file://")) if is_local_path(url) else None
        if self._folder is not None:
            self._store = LocalStore(self._folder, mkdir=True)
        else:
            # client options would take the place of those in the environment, as AWS_ALLOW_HTTP is one
            self._store = from_url(url)

    def put(self, path: str, content: bytes) -> None:
        """Makes or replaces a file; it outlives the machine's power by then."""
        obstore.put(self._store, path, content)
        if self._folder is not None:
            for kept in (self._folder / path, (self._folder / path).parent):
                _sync_to_disk(kept)

    @contextmanager
    def written(self, path: str) -> Iterator[Path]:
        """A file of this machine to write, which makes or replaces ``path`` once that has ended without an error."""
        if self._folder is None:
            with NamedTemporaryFile() as scratch:
                yield Path(scratch.name)
                obstore.put(self._store, path, Path(scratch.name))
            return
        place = self._folder / path
        with _unfinished(place) as scratch:
            yield scratch
            _sync_to_disk(scratch)
            scratch.replace(place)
            _sync_to_disk(place.parent)

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        if self._folder is not None:
            return (self._folder / path).is_file()
        try:
            obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True


@contextmanager
def _unfinished(place: Path) -> Iterator[Path]:
    """A new file beside ``place``, locked while it is written; those that nobody writes any more are deleted."""
    for left in place.parent.glob(f".{escape(place.name)}.*{UNFINISHED}"):
        with suppress(FileNotFoundError, BlockingIOError), open(left, "rb") as file:
            flock(file, LOCK_EX | LOCK_NB)
            left.unlink()
    while True:
        scratch = place.with_name(f".{place.name}.{uuid4().hex}{UNFINISHED}")
        with open(scratch, "xb") as file:
            flock(file, LOCK_EX)
            if not scratch.exists():
                # another process took it for one that was left, before it was locked
                continue
            try:
                yield scratch
            finally:
                scratch.unlink(missing_ok=True)
            return


def _sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
