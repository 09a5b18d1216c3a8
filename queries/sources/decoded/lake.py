"""The decoded files of one lake in a folder of this machine."""

import errno
import logging
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock

from queries.concurrency.outages import OutageLog
from queries.errors import first_line
from queries.sources.decoded.atomic_files import folder_lock
from queries.sources.decoded.categories import TextCategories
from queries.sources.decoded.decoded_files import (
    DecodedFileName,
    MappedBatch,
    UnknownCodes,
    UnusableFile,
    file_key,
    list_decoded_files,
    map_decoded_file,
)
from queries.sources.decoded.decoder import Decoder
from queries.sources.decoded.dictionary import TextDictionary, read_dictionary
from queries.sources.decoded.mapped_events import MappedEvents
from queries.sources.lake_snapshot import LakeSnapshot

log = logging.getLogger(__name__)


class DecodedLake:
    """A folder with decoded files of a lake, at most ``max_bytes`` of them. Threads and processes may share it.

    A folder that is full, read-only or not there is only logged: then the lake
    itself is read where no file is decoded.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._decoder = Decoder(folder, max_bytes)
        self._outage_log = OutageLog(f"decoding the lake to {folder}", log)
        self._lock = Lock()
        self._dictionary: TextDictionary | None = None
        self._categories = TextCategories()
        self._batches: dict[str, list[MappedBatch]] = {}

    def decode(self, snapshot: LakeSnapshot, *, waits: bool = True) -> None:
        """Decodes what is missing, after another process that is at it, or not at all where it may not wait.

        Raises StoreError where a file of the lake cannot be read.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_owner()
            with folder_lock(self._folder, waits=waits) as is_locked:
                if not is_locked:
                    return
                self._decoder.decode(snapshot)
        except OSError as error:
            self._outage_log.failed(error)
        else:
            self._outage_log.worked()

    def open(self, snapshot: LakeSnapshot) -> MappedEvents:
        """The events of the snapshot, mapped where they are decoded.

        What an earlier call has mapped is used again, with the same categories
        if possible.
        """
        with self._lock:
            names = self._decoded_names()
            # newer than each of these files, so that it has all of their codes
            self._update_dictionary()
            batches: dict[str, list[MappedBatch]] = {}
            unusable: list[Exception] = []
            for uri, events in snapshot.files.select("uri", "events").iter_rows():
                try:
                    mapped = self._batches.get(uri) or self._map(names.get(file_key(uri)), events)
                except (OSError, UnusableFile) as error:
                    unusable.append(error)
                else:
                    if mapped is not None:
                        batches[uri] = mapped
            if unusable:
                log.info("%s decoded files of the lake are not used: %s", len(unusable), first_line(unusable[0]))
            self._batches = batches
            return MappedEvents(snapshot, self._categories, batches)

    def close(self) -> None:
        """Releases what is mapped. It stays in memory while anybody has the events."""
        with self._lock:
            self._dictionary, self._categories, self._batches = None, TextCategories(), {}

    def _decoded_names(self) -> dict[str, DecodedFileName]:
        """The decoded files that are as they were written, by their keys."""
        try:
            self._check_owner()
            return {name.key: name for name, is_intact in list_decoded_files(self._folder) if is_intact}
        except OSError:
            return {}

    def _update_dictionary(self) -> None:
        present, newest = self._dictionary, read_dictionary(self._folder)
        if newest is None:
            return
        self._dictionary = newest
        if present is None or not newest.extends(present):
            self._categories, self._batches = TextCategories(newest.texts), {}
            return
        categories = self._categories.extended(newest.texts)
        if categories is not self._categories:
            self._categories = categories
            self._batches = {
                uri: [batch.recoded(categories) for batch in batches] for uri, batches in self._batches.items()
            }

    def _map(self, name: DecodedFileName | None, events: int) -> list[MappedBatch] | None:
        if name is None or self._dictionary is None:
            return None
        try:
            return map_decoded_file(self._folder, name, events, self._dictionary, self._categories)
        except UnknownCodes:
            # the next one who decodes would not notice
            with suppress(OSError):
                (self._folder / str(name)).unlink()
            raise

    def _check_owner(self) -> None:
        """Raises PermissionError where other users may change the folder: a mapped file must stay as it is."""
        status = self._folder.stat()
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            raise PermissionError(errno.EPERM, "other users may write to the folder", str(self._folder))
