"""Answers kept for a while: flask-caching, with one computation at a time per key."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from hashlib import blake2b
from importlib.metadata import version
from threading import Lock
from typing import Any, TypeVar

from flask import Flask, current_app
from flask_caching import Cache

from leaderboard.settings import Settings, SettingsError

log = logging.getLogger(__name__)

T = TypeVar("T")

cache = Cache()

CONFIG = ("CACHE_TYPE", "CACHE_DEFAULT_TIMEOUT", "CACHE_THRESHOLD", "CACHE_DIR", "CACHE_REDIS_URL", "CACHE_KEY_PREFIX")
"""The settings that Flask-Caching takes as they are."""
REDIS_SECONDS = 1
"""How long a cache on another machine may take before an answer is had without it."""

_under_way: dict[tuple[int, str], Future[Any]] = {}
_lock = Lock()


def init_app(app: Flask, settings: Settings) -> None:
    """Keeps the answers of the app where the settings say. Raises SettingsError where that cannot be."""
    config = {name: getattr(settings, name.lower()) for name in CONFIG} | {"CACHE_NO_NULL_WARNING": True}
    if settings.cache_type == "RedisCache":
        config["CACHE_OPTIONS"] = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    try:
        cache.init_app(app, config)
    except (RuntimeError, OSError, ValueError) as error:
        raise SettingsError(f"CACHE_TYPE {settings.cache_type} cannot be used: {error}") from error
    # answers of another release, or about another database, are other answers
    app.extensions["leaderboard.cache"] = repr(
        (version("orchestrator-leaderboard"), settings.postgres or settings.data_dir)
    )


def remember(key: object, seconds: float | None, compute: Callable[[], T]) -> T:
    """What ``compute`` returns, or returned for this key at most ``seconds`` ago (None: CACHE_DEFAULT_TIMEOUT).

    Who asks while it is being computed gets the same result, or the same
    exception, which is not kept. ``key`` is known by its repr.
    """
    if seconds == 0:
        return compute()
    place = _place(key)
    if (found := _get(place)) is not None:
        return found
    at = id(cache.cache), place
    with _lock:
        theirs = _under_way.get(at)
        ours = _under_way.setdefault(at, Future())
    if theirs is not None:
        return theirs.result()
    try:
        if (found := _get(place)) is None:
            found = compute()
            _set(place, found, seconds)
        ours.set_result(found)
        return found
    except BaseException as error:
        ours.set_exception(error)
        raise
    finally:
        with _lock:
            del _under_way[at]


class Compressed:
    """What Flask-Compress keeps its compressed bodies in: the same cache."""

    def get(self, key: str) -> bytes | None:
        """The compressed body."""
        return _get(_place(key))

    def set(self, key: str, value: bytes) -> None:
        """Keeps it, unless it is there: this is called for those that were found as well."""
        place = _place(key)
        if _get(place) is None:
            _set(place, value, None)


def _place(key: object) -> str:
    text = f"{current_app.extensions['leaderboard.cache']} {key!r}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _get(place: str) -> Any:
    try:
        return cache.get(place)
    # whatever goes wrong in a cache, the answer can be had without it
    except Exception as error:  # noqa: BLE001
        _complain(error)
        return None


def _set(place: str, value: Any, seconds: float | None) -> None:
    try:
        cache.set(place, value, timeout=None if seconds is None else timedelta(seconds=seconds))
    except Exception as error:  # noqa: BLE001
        _complain(error)


def _complain(error: Exception) -> None:
    log.warning("the cache of answers cannot be used now: %s", error)
