"""The cache in a folder, which the workers of one machine share.

Flask-Caching's FileSystemCache pickles what it stores, leaves its temporary
files behind where the disk is full, waits for 10 s where it may not read a file,
and logs each failure with a traceback.
"""

import contextlib
import os
import stat
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from flask import Flask
from flask_caching.backends.base import BaseCache

from leaderboard.web.caching.rendered import CachedValue, decode, encode

SUFFIX = ".response"
PARTIAL_SUFFIX = ".part"
MAX_WRITE_SECONDS = 60
"""A partial file that is older was left behind by a process that ended."""


class FolderCache(BaseCache):
    """A backend of Flask-Caching that stores one file per value, at most ``max_entries`` of ``max_entry_bytes``.

    The modification time of a file is the moment when it expires. OSError means
    that the folder or its disk is at fault.
    """

    def __init__(self, folder: Path, max_entries: int, max_entry_bytes: int, default_timeout: int) -> None:
        """Raises ValueError if others could write to the folder, and OSError if it cannot be used."""
        super().__init__(default_timeout=default_timeout)
        create_private_folder(folder)
        self._folder = folder
        self._max_entries = max_entries
        self._max_entry_bytes = max_entry_bytes

    @classmethod
    def factory(cls, _app: Flask, config: dict[str, Any], _args: list[Any], kwargs: dict[str, Any]) -> Self:
        """The cache of the app's settings. Flask-Caching calls this."""
        return cls(
            config["CACHE_DIR"],
            config["CACHE_THRESHOLD"],
            config["CACHE_MAX_ENTRY_BYTES"],
            kwargs["default_timeout"],
        )

    def get(self, key: str) -> CachedValue | None:
        """The value, or None. Raises OSError."""
        try:
            # a planted pipe must not block
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            is_usable = stat.S_ISREG(status.st_mode) and status.st_size <= self._max_entry_bytes
            if not is_usable or status.st_mtime < time.time():
                return None
            return decode(file.read(self._max_entry_bytes))

    def set(self, key: str, value: CachedValue, timeout: int | timedelta | None = None) -> bool:
        """Stores the value for the time given, or for the default time. Raises OSError and ValueError."""
        stored = encode(value)
        if len(stored) > self._max_entry_bytes:
            return False
        # somebody may have removed it, or have let others write to it
        create_private_folder(self._folder)
        self._remove_surplus()
        expires = time.time() + self._normalize_timeout(timeout)
        descriptor, partial = tempfile.mkstemp(PARTIAL_SUFFIX, dir=self._folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(stored)
            os.utime(partial, (expires, expires))
            os.replace(partial, self._path(key))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        return True

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"

    def _remove_surplus(self) -> None:
        """Removes expired files, and those that expire next if there would be too many."""
        now = time.time()
        entries, surplus = [], []
        with os.scandir(self._folder) as files:
            for file in files:
                # another process may have removed it
                with contextlib.suppress(FileNotFoundError):
                    modified = file.stat(follow_symlinks=False).st_mtime
                    if file.name.endswith(PARTIAL_SUFFIX) and modified < now - MAX_WRITE_SECONDS:
                        surplus.append(file.path)
                    elif file.name.endswith(SUFFIX):
                        entries.append((modified, file.path))
        entries.sort()
        expired = sum(expires < now for expires, _ in entries)
        surplus += [path for _, path in entries[: max(expired, len(entries) + 1 - self._max_entries)]]
        for path in surplus:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(path)


def create_private_folder(folder: Path) -> None:
    """Creates the folder for this user alone. Raises ValueError if others could write to it, and OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    real = folder.resolve()
    status = real.stat()
    if status.st_uid != os.geteuid():
        raise ValueError(
            f"{folder} belongs to the user with the number {status.st_uid}, and the service runs as {os.geteuid()}: "
            "choose a folder of the service's own"
        )
    if status.st_mode & 0o022:
        raise ValueError(f"others may write to {folder}, and could forge responses: run chmod 700 {folder}")
    for parent in real.parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ValueError(f"everybody may write to {parent}, and could replace {folder}: choose another folder")
