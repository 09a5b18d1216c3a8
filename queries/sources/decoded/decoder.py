"""Decodes the files of a lake. Only the process that holds the folder's lock may do so."""

import errno
import logging
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from queries.sources.decoded.categories import TextCategories
from queries.sources.decoded.decoded_files import (
    DECODED_EVENT_BYTES,
    DecodedFileName,
    UnusableFile,
    file_key,
    list_decoded_files,
    open_decoded_file,
    write_decoded_file,
)
from queries.sources.decoded.dictionary import TextDictionary, read_dictionary
from queries.sources.lake_snapshot import LakeSnapshot
from queries.sources.parquet_files import collect
from queries.sources.text_encoding import TEXT_COLUMNS
from queries.times import MAX_TIME, MIN_TIME

log = logging.getLogger(__name__)

LEFTOVER_SECONDS = 60.0
"""How long a decoded file is kept that the lake no longer has: other processes may still be at an older version."""
PROGRESS_SECONDS = 10.0
"""How often the log says how far the work is."""
MIN_FREE_FRACTION = 0.05
"""How much of a disk is left to others."""


class Decoder:
    """Keeps the decoded files of a folder as those of a lake, at most ``max_bytes`` of them."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._dictionary = TextDictionary()
        # files that were checked with the dictionary
        self._usable: set[DecodedFileName] = set()
        self._leftover_since: dict[DecodedFileName, float] = {}

    def decode(self, snapshot: LakeSnapshot) -> None:
        """Decodes the newest files of the lake, as many as fit. Deletes what is of no use.

        Raises OSError of the folder, and StoreError where a file of the lake cannot be read.
        """
        self._read_dictionary()
        files = snapshot.files.sort("until", "uri", descending=True)
        files = files.filter(pl.col("events").cum_sum() * DECODED_EVENT_BYTES <= self._max_bytes)
        event_counts = {file_key(uri): events for uri, events in files.select("uri", "events").iter_rows()}
        decoded = self._delete_unusable(event_counts)
        missing = [file for file in files.iter_slices(1) if file_key(file["uri"].item()) not in decoded]
        began = reported = time.monotonic()
        for number, file in enumerate(missing):
            if time.monotonic() - reported >= PROGRESS_SECONDS:
                reported = time.monotonic()
                log.info("decoding the lake: %s of %s files", number, len(missing))
            self._decode_file(replace(snapshot, files=file))
        if reported > began:
            log.info("decoded %s files of the lake in %.0f s", len(missing), time.monotonic() - began)

    def _read_dictionary(self) -> None:
        dictionary = read_dictionary(self._folder) or TextDictionary()
        if not dictionary.extends(self._dictionary):
            self._usable = set()
        self._dictionary = dictionary

    def _delete_unusable(self, event_counts: dict[str, int]) -> set[str]:
        """The keys of the files that are decoded. Deletes what is damaged, foreign, or no longer needed."""
        usable, leftovers = set(), set()
        for name, is_intact in list_decoded_files(self._folder):
            if is_intact and name.key not in event_counts:
                leftovers.add(name)
            elif is_intact and self._is_usable(name, event_counts[name.key]):
                usable.add(name)
            else:
                self._delete(name)
        now = time.monotonic()
        self._usable = usable
        self._leftover_since = {name: self._leftover_since.get(name, now) for name in leftovers}
        for name, since in self._leftover_since.items():
            if now - since >= LEFTOVER_SECONDS:
                self._delete(name)
        return {name.key for name in usable}

    def _is_usable(self, name: DecodedFileName, events: int) -> bool:
        if name in self._usable:
            return True
        try:
            open_decoded_file(self._folder, name, events, self._dictionary)
        except UnusableFile as error:
            log.debug("a file of the lake is decoded again: %s", error)
            return False
        return True

    def _delete(self, name: DecodedFileName) -> None:
        (self._folder / str(name)).unlink(missing_ok=True)

    def _decode_file(self, file: LakeSnapshot) -> None:
        """Decodes the one file of a snapshot."""
        self._check_room(int(file.files["events"].sum()) * DECODED_EVENT_BYTES)
        categories = TextCategories(self._dictionary.texts)
        events = collect(categories.encode(file.window(MIN_TIME, MAX_TIME)))
        jobs = events.partition_by("job_type")
        del events
        texts = categories.texts
        if texts.len() > self._dictionary.texts.len():
            # before the file, so that no file has a code without a text
            self._dictionary = TextDictionary(texts, self._dictionary.lineage)
            self._dictionary.write(self._folder)
        batches = (_sorted_codes(jobs.pop()) for _ in range(len(jobs)))
        write_decoded_file(self._folder, file.files["uri"].item(), batches, self._dictionary)

    def _check_room(self, size: int) -> None:
        disk = shutil.disk_usage(self._folder)
        if disk.free - size < disk.total * MIN_FREE_FRACTION:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._folder))


def _sorted_codes(events: pl.DataFrame) -> pl.DataFrame:
    """The events of one job type by time, then id, with text as codes (UInt32)."""
    return events.sort("event_time", "id").with_columns(pl.col(TEXT_COLUMNS).to_physical())
