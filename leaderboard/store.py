"""Files in a folder or an object store: each appears whole or not at all."""

import os
from pathlib import Path

import obstore
from obstore.store import LocalStore, from_url

from queries.lake import is_folder


class Files:
    """The files under ``url``: a folder, which is made where there is none, s3://…, gs://… or az://….

    Every call raises obstore's BaseError, or OSError.
    """

    def __init__(self, url: str) -> None:
        self._folder = Path(url.removeprefix("file://")) if is_folder(url) else None
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

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True


def _sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
