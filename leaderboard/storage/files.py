"""Files in a folder or an object store. Each one appears whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from glob import escape
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import uuid4

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from queries import is_local_path

PARTIAL_SUFFIX = ".partial"
"""How the name of a file ends while it is written; it also begins with a dot."""


class Files:
    """The files under ``url``: a folder, which is created if needed, or s3://…, gs://… or az://….

    Every call raises obstore's BaseError, or OSError.
    """

    def __init__(self, url: str) -> None:
        self._folder = Path(url.removeprefix("file://")) if is_local_path(url) else None
        self._store: ObjectStore
        if self._folder is not None:
            self._store = LocalStore(self._folder, mkdir=True)
        else:
            # client options given here would hide those of the environment, such as AWS_ALLOW_HTTP
            self._store = from_url(url)

    def put(self, path: str, content: bytes) -> None:
        """Creates or replaces a file. After the call it survives a power failure."""
        obstore.put(self._store, path, content)
        if self._folder is not None:
            _sync_to_disk(self._folder / path)
            _sync_to_disk((self._folder / path).parent)

    @contextmanager
    def atomic_write(self, path: str) -> Iterator[Path]:
        """A local file to write to. It becomes ``path`` when the ``with`` block ends without an error."""
        if self._folder is None:
            with NamedTemporaryFile() as scratch:
                yield Path(scratch.name)
                obstore.put(self._store, path, Path(scratch.name))
            return
        destination = self._folder / path
        with _scratch_file(destination) as scratch_path:
            yield scratch_path
            _sync_to_disk(scratch_path)
            scratch_path.replace(destination)
            _sync_to_disk(destination.parent)

    def delete(self, path: str) -> None:
        """Deletes a file."""
        obstore.delete(self._store, path)

    def exists(self, path: str) -> bool:
        """Whether the file exists."""
        if self._folder is not None:
            return (self._folder / path).is_file()
        try:
            obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True


def split_url(url: str) -> tuple[str, str]:
    """The folder, for Files, and the name of the file that a path or a URL names."""
    folder, separator, name = url.rpartition("/")
    return folder or separator or ".", name


@contextmanager
def _scratch_file(destination: Path) -> Iterator[Path]:
    """A new file beside ``destination``, locked while it is in use. Deletes files that killed processes left."""
    for leftover in destination.parent.glob(f".{escape(destination.name)}.*{PARTIAL_SUFFIX}"):
        with suppress(FileNotFoundError, BlockingIOError), open(leftover, "rb") as file:
            flock(file, LOCK_EX | LOCK_NB)
            leftover.unlink()
    while True:
        scratch = destination.with_name(f".{destination.name}.{uuid4().hex}{PARTIAL_SUFFIX}")
        with open(scratch, "xb") as file:
            flock(file, LOCK_EX)
            if not scratch.exists():
                # before it was locked, another process deleted it as a leftover
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
