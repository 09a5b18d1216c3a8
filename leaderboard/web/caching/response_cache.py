"""The cache of responses: Flask-Caching, with one computation at a time per key."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, NamedTuple, TypeVar, cast

from flask import Flask, current_app, g
from flask_caching import Cache

from leaderboard.settings import Settings, SettingsError
from leaderboard.web.caching.guard import GuardedCalls
from leaderboard.web.caching.memory import MemoryCache
from leaderboard.web.caching.rendered import CachedValue, size
from queries.concurrency import KeyedSingleFlight

log = logging.getLogger(__name__)

Value = TypeVar("Value", bound=CachedValue)

BACKENDS = {
    "SimpleCache": "leaderboard.web.caching.memory.MemoryCache",
    "FileSystemCache": "leaderboard.web.caching.folder.FolderCache",
    "RedisCache": "leaderboard.web.caching.redis.RedisCache",
    "NullCache": "NullCache",
}
"""The class of each CACHE_TYPE, as Flask-Caching takes it."""
ENTRIES_OF_FULL_SIZE = 8
"""A response is not cached if fewer of its size would fit into CACHE_MEMORY_MIB."""
MAX_CALL_SECONDS = 0.5
"""A shared cache that takes longer for a call is at fault."""
MAX_REQUEST_SECONDS = 1.0
"""How long a request waits for a shared cache in all."""
COMPUTATION_TIMEOUTS = 3
"""How many times DB_TIMEOUT a request waits for another one that computes its response."""


class CacheStatus(NamedTuple):
    """Whether a shared cache fails, and what the cache of a worker holds; None where it has none of its own."""

    is_failing: bool
    entries: int | None
    bytes: int | None


class ResponseCache:
    """The cache of one app. Where the cache itself fails, responses are computed, and the log says so once."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        """Raises SettingsError if the cache of the settings cannot be used."""
        self._max_entry_bytes = (settings.cache_memory_mib << 20) // ENTRIES_OF_FULL_SIZE
        config = {
            "CACHE_TYPE": BACKENDS[settings.cache_type],
            "CACHE_NO_NULL_WARNING": True,
            "CACHE_DEFAULT_TIMEOUT": settings.cache_default_timeout,
            "CACHE_THRESHOLD": settings.cache_threshold,
            "CACHE_DIR": settings.cache_dir,
            "CACHE_REDIS_URL": settings.cache_redis_url,
            "CACHE_KEY_PREFIX": settings.cache_key_prefix,
            "CACHE_MEMORY_BYTES": settings.cache_memory_mib << 20,
            "CACHE_MAX_ENTRY_BYTES": self._max_entry_bytes,
            "CACHE_TIMEOUT_SECONDS": MAX_CALL_SECONDS,
        }
        try:
            self._cache = Cache(app, config=config)
        except (RuntimeError, OSError, ValueError) as error:
            raise SettingsError(f"CACHE_TYPE {settings.cache_type} cannot be used: {error}") from error
        # several services may share one cache; other releases and other databases give other responses
        self._owner = repr((version("orchestrator-leaderboard"), settings.postgres or settings.data_dir))
        self._is_shared = settings.cache_type in ("FileSystemCache", "RedisCache")
        # a full disk or a read-only replica still reads
        self._reads = GuardedCalls("reading the cache of responses", log, MAX_CALL_SECONDS)
        self._writes = GuardedCalls("writing the cache of responses", log, MAX_CALL_SECONDS)
        self._flights: KeyedSingleFlight[str, Any] = KeyedSingleFlight(settings.db_timeout * COMPUTATION_TIMEOUTS)

    def get_readthrough(self, key: object, seconds: float | None, compute: Callable[[], Value]) -> Value:
        """The cached value, else what ``compute`` returns, which is cached for ``seconds``.

        ``seconds`` of None means CACHE_DEFAULT_TIMEOUT, and 0 means no cache.
        Values with equal ``repr(key)`` are the same. While one thread
        computes a value, others that ask for it wait. They get the same result or
        the same exception; an exception is not cached. Raises StoreTimeout
        if another thread takes too long to compute the value.
        """
        if seconds == 0:
            return compute()
        name = self._name(key)
        if (found := self._get(name)) is not None:
            return cast("Value", found)

        def compute_and_store() -> Value:
            # another thread may have stored it since
            if (found := self._get(name)) is not None:
                return cast("Value", found)
            log.debug("computing %s", key)
            value = compute()
            self._set(name, value, seconds)
            return value

        return cast("Value", self._flights(name, compute_and_store))

    def status(self) -> CacheStatus:
        """How the cache does now. Asks no other process."""
        entries, held = self._backend.usage if isinstance(self._backend, MemoryCache) else (None, None)
        return CacheStatus(self._reads.is_failing or self._writes.is_failing, entries, held)

    def get(self, key: object) -> CachedValue | None:
        """The cached value, or None."""
        return self._get(self._name(key))

    def set(self, key: object, value: CachedValue) -> None:
        """Caches a value for CACHE_DEFAULT_TIMEOUT."""
        self._set(self._name(key), value, None)

    def _name(self, key: object) -> str:
        return blake2b(f"{self._owner} {key!r}".encode(errors="surrogatepass"), digest_size=16).hexdigest()

    def _get(self, name: str) -> CachedValue | None:
        found = self._call(self._reads, self._backend.get, name)
        return cast("CachedValue | None", found)

    def _set(self, name: str, value: CachedValue, seconds: float | None) -> None:
        is_made = isinstance(value, bytes) or isinstance(value.body, bytes)
        # a few long responses must not push all others out
        if is_made and size(value) <= self._max_entry_bytes:
            timeout = None if seconds is None else timedelta(seconds=seconds)
            self._call(self._writes, self._backend.set, name, value, timeout)

    @property
    def _backend(self) -> Any:
        return self._cache.cache

    def _call(self, guarded: GuardedCalls, function: Callable[..., object], *args: object) -> object:
        """What the function of the backend returns, or None if the cache fails or the request has waited enough."""
        if not self._is_shared:
            return function(*args)
        left = g.get("cache_seconds_left", MAX_REQUEST_SECONDS)
        if left <= 0:
            return None
        started = time.monotonic()
        try:
            found = guarded(left, function, *args)
            g.cache_seconds_left = left - (time.monotonic() - started)
            return found
        # whatever fails in the cache, the value can be computed; the log knows by now
        except Exception:  # noqa: BLE001
            g.cache_seconds_left = 0
            return None


class CompressedBodies:
    """Keeps the compressed bodies of Flask-Compress in the cache of responses."""

    def get(self, key: str) -> bytes | None:
        """The compressed body, or None."""
        found = _current().get(key)
        g.compressed_body_is_cached = isinstance(found, bytes)
        return found if isinstance(found, bytes) else None

    def set(self, key: str, value: bytes) -> None:
        """Stores a compressed body. Flask-Compress calls this after each hit as well."""
        if not g.compressed_body_is_cached:
            _current().set(key, value)


def init_app(app: Flask, settings: Settings) -> None:
    """Gives the app its cache. Raises SettingsError if the cache of the settings cannot be used."""
    app.extensions["leaderboard.cache"] = ResponseCache(app, settings)


def get_readthrough(key: object, seconds: float | None, compute: Callable[[], Value]) -> Value:
    """``ResponseCache.get_readthrough`` of the current app."""
    return _current().get_readthrough(key, seconds, compute)


def cache_status() -> CacheStatus:
    """``ResponseCache.status`` of the current app."""
    return _current().status()


def _current() -> ResponseCache:
    return cast("ResponseCache", current_app.extensions["leaderboard.cache"])
