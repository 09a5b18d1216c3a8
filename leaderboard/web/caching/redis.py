"""The cache in Redis, which the workers of several machines share."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from flask import Flask
from flask_caching.backends.base import BaseCache

from leaderboard.web.caching.rendered import CachedValue, decode, encode

if TYPE_CHECKING:
    from redis import Redis


class RedisCache(BaseCache):
    """A backend of Flask-Caching that stores values of at most ``max_entry_bytes`` in Redis.

    Flask-Caching's own backend pickles, and loads whatever it finds, however large.
    """

    def __init__(self, client: "Redis", key_prefix: str, max_entry_bytes: int, default_timeout: int) -> None:
        super().__init__(default_timeout=default_timeout)
        self._client = client
        self._key_prefix = key_prefix
        self._max_entry_bytes = max_entry_bytes

    @classmethod
    def factory(cls, _app: Flask, config: dict[str, Any], _args: list[Any], kwargs: dict[str, Any]) -> Self:
        """The cache of the app's settings. Flask-Caching calls this. Raises RuntimeError and ValueError."""
        try:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise RuntimeError("the package redis is not installed") from error
        timeout = config["CACHE_TIMEOUT_SECONDS"]
        client = Redis.from_url(
            config["CACHE_REDIS_URL"],
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # a response is computed sooner than Redis is asked again
            retry=Retry(NoBackoff(), 0),
            # version 3 and the name of the driver cost a new connection several round trips
            protocol=2,
            driver_info=None,
        )
        if client.get_connection_kwargs().get("decode_responses"):
            raise ValueError("decode_responses must not be set in CACHE_REDIS_URL")
        return cls(client, config["CACHE_KEY_PREFIX"], config["CACHE_MAX_ENTRY_BYTES"], kwargs["default_timeout"])

    def get(self, key: str) -> CachedValue | None:
        """The value, or None. Raises RedisError."""
        # one byte more than is allowed, so that a longer value can be told from one that fits
        stored = self._client.getrange(self._key_prefix + key, 0, self._max_entry_bytes)
        if not isinstance(stored, bytes):
            raise TypeError(f"the server responded with {type(stored).__name__}")
        return decode(stored) if len(stored) <= self._max_entry_bytes else None

    def set(self, key: str, value: CachedValue, timeout: int | timedelta | None = None) -> bool:
        """Stores the value for the time given, or for the default time. Raises RedisError."""
        stored = encode(value)
        if len(stored) > self._max_entry_bytes:
            return False
        return bool(self._client.set(self._key_prefix + key, stored, ex=self._normalize_timeout(timeout)))
