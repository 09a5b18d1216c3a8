"""The cache in the memory of a worker."""

import time
from datetime import timedelta
from threading import Lock
from typing import Any, NamedTuple, Self

from cachetools import TLRUCache
from flask import Flask
from flask_caching.backends.base import BaseCache

from leaderboard.web.caching.rendered import CachedValue, size
from queries.concurrency import run_in_thread

EXPIRY_INTERVAL_SECONDS = 2.0
"""How often expired values are freed."""


class _Entry(NamedTuple):
    value: CachedValue
    lifetime: float


class MemoryCache(BaseCache):
    """A backend of Flask-Caching that keeps at most ``max_bytes`` and at most ``max_entries``.

    What was used least recently goes first. Flask-Caching's SimpleCache counts
    entries, however large they are, and keeps expired ones until it is full.
    """

    def __init__(self, max_bytes: int, max_entries: int, default_timeout: int) -> None:
        super().__init__(default_timeout=default_timeout)
        self._max_entries = max_entries
        self._lock = Lock()
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            max_bytes, lambda _, entry, now: now + entry.lifetime, time.monotonic, lambda entry: size(entry.value)
        )
        self._frees_expired = False

    @property
    def usage(self) -> tuple[int, int]:
        """How many values it keeps, and how many bytes they take."""
        with self._lock:
            return len(self._entries), int(self._entries.currsize)

    @classmethod
    def factory(cls, _app: Flask, config: dict[str, Any], _args: list[Any], kwargs: dict[str, Any]) -> Self:
        """The cache of the app's settings. Flask-Caching calls this."""
        return cls(config["CACHE_MEMORY_BYTES"], config["CACHE_THRESHOLD"], kwargs["default_timeout"])

    def get(self, key: str) -> CachedValue | None:
        """The value, or None."""
        with self._lock:
            entry = self._entries.get(key)
        return entry and entry.value

    def set(self, key: str, value: CachedValue, timeout: int | timedelta | None = None) -> bool:
        """Keeps the value for the time given, or for the default time."""
        entry = _Entry(value, self._normalize_timeout(timeout))
        with self._lock:
            if size(value) > self._entries.maxsize:
                return False
            self._entries[key] = entry
            while len(self._entries) > self._max_entries:
                self._entries.popitem()
            starts, self._frees_expired = not self._frees_expired, True
        if starts:
            run_in_thread(self._free_expired)
        return True

    def _free_expired(self) -> None:
        """Frees what expires, until the cache is empty. Nobody asks for most expired values again."""
        while True:
            time.sleep(EXPIRY_INTERVAL_SECONDS)
            with self._lock:
                self._entries.expire()
                if not self._entries:
                    self._frees_expired = False
                    return
