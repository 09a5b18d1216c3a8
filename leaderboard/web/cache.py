"""The cache of responses: Flask-Caching, with one computation at a time per key."""

import logging
from collections.abc import Callable
from datetime import timedelta
from hashlib import blake2b
from importlib.metadata import version
from typing import Any, TypeVar, cast

from flask import Flask, current_app
from flask_caching import Cache

from leaderboard.settings import Settings, SettingsError
from queries.concurrency import KeyedSingleFlight

log = logging.getLogger(__name__)

T = TypeVar("T")

SETTINGS = (
    *("CACHE_TYPE", "CACHE_DEFAULT_TIMEOUT", "CACHE_THRESHOLD"),
    *("CACHE_DIR", "CACHE_REDIS_URL", "CACHE_KEY_PREFIX"),
)
"""The settings that Flask-Caching takes as they are."""
REDIS_TIMEOUT_SECONDS = 1
"""A response is made without the cache if Redis takes longer."""


class ResponseCache:
    """The cache of one app. Where the cache itself fails, values are computed and a warning is logged."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        """Raises SettingsError if the cache of the settings cannot be used."""
        config = {name: getattr(settings, name.lower()) for name in SETTINGS} | {"CACHE_NO_NULL_WARNING": True}
        if settings.cache_type == "RedisCache":
            timeouts = ("socket_timeout", "socket_connect_timeout")
            config["CACHE_OPTIONS"] = dict.fromkeys(timeouts, REDIS_TIMEOUT_SECONDS)
        try:
            self._cache = Cache(app, config=config)
        except (RuntimeError, OSError, ValueError) as error:
            raise SettingsError(f"CACHE_TYPE {settings.cache_type} cannot be used: {error}") from error
        # several services may share one cache; other releases and other databases give other responses
        self._owner = repr((version("orchestrator-leaderboard"), settings.postgres or settings.data_dir))
        self._flights: KeyedSingleFlight[str, Any] = KeyedSingleFlight()

    def get_readthrough(self, key: object, seconds: float | None, compute: Callable[[], T]) -> T:
        """The cached value, else what ``compute`` returns, which is cached for ``seconds``.

        ``seconds`` of None means CACHE_DEFAULT_TIMEOUT, and 0 means no cache.
        Values with equal ``repr(key)`` are the same. While one thread
        computes a value, others that ask for it wait. They get the same result or
        the same exception; an exception is not cached.
        """
        if seconds == 0:
            return compute()
        name = self._name(key)
        if (found := self._get(name)) is not None:
            return cast("T", found)

        def compute_and_store() -> T:
            # another thread may have stored it since
            if (found := self._get(name)) is not None:
                return cast("T", found)
            log.debug("computing %s", key)
            value = compute()
            self._set(name, value, seconds)
            return value

        return cast("T", self._flights(name, compute_and_store))

    def get(self, key: object) -> Any:
        """The cached value, or None."""
        return self._get(self._name(key))

    def set(self, key: object, value: Any) -> None:
        """Caches a value for CACHE_DEFAULT_TIMEOUT."""
        self._set(self._name(key), value, None)

    def _name(self, key: object) -> str:
        return blake2b(f"{self._owner} {key!r}".encode(errors="surrogatepass"), digest_size=16).hexdigest()

    def _get(self, name: str) -> Any:
        try:
            return self._cache.get(name)
        # whatever fails in the cache, the value can be computed
        except Exception as error:  # noqa: BLE001
            _warn(error)
            return None

    def _set(self, name: str, value: Any, seconds: float | None) -> None:
        try:
            self._cache.set(name, value, timeout=None if seconds is None else timedelta(seconds=seconds))
        except Exception as error:  # noqa: BLE001
            _warn(error)


class CompressedBodies:
    """Keeps the compressed bodies of Flask-Compress in the cache of responses."""

    def get(self, key: str) -> bytes | None:
        """The compressed body, or None."""
        return cast("bytes | None", _current().get(key))

    def set(self, key: str, value: bytes) -> None:
        """Stores a compressed body. Flask-Compress calls this after each hit as well."""
        if _current().get(key) is None:
            _current().set(key, value)


def init_app(app: Flask, settings: Settings) -> None:
    """Gives the app its cache. Raises SettingsError if the cache of the settings cannot be used."""
    app.extensions["leaderboard.cache"] = ResponseCache(app, settings)


def get_readthrough(key: object, seconds: float | None, compute: Callable[[], T]) -> T:
    """``ResponseCache.get_readthrough`` of the current app."""
    return _current().get_readthrough(key, seconds, compute)


def _current() -> ResponseCache:
    return cast("ResponseCache", current_app.extensions["leaderboard.cache"])


def _warn(error: Exception) -> None:
    log.warning("the cache of responses is unavailable: %s", error)
