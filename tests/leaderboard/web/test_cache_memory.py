"""A worker keeps a limited number of bytes of responses, however many strangers ask for."""

import sys
from datetime import timedelta

import pytest
from flask import Flask

from leaderboard.settings import Settings
from leaderboard.web.caching.memory import MemoryCache
from leaderboard.web.caching.rendered import RenderedResponse
from leaderboard.web.caching.response_cache import get_readthrough
from tests.support.waiting import eventually

MIB = 1 << 20


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(lake_sync_interval=0, postgres=database, cache_memory_mib=1)


def body(number: int, length: int) -> bytes:
    return b"%d" % number + bytes(length)


@pytest.mark.parametrize("length", [0, 1000, 100_000, MIB // 2])
def test_kept_values_fit_into_the_limit(length: int) -> None:
    cache = MemoryCache(MIB, max_entries=10_000, default_timeout=60)
    keys = [str(number) for number in range(3000)]
    for number, key in enumerate(keys):
        value = body(number, length)
        cache.set(key, RenderedResponse(value, "etag") if number % 2 else value)
    kept = [value for key in keys if (value := cache.get(key)) is not None]
    assert kept
    assert sum(len(value.body if isinstance(value, RenderedResponse) else value) for value in kept) <= MIB
    assert cache.get(keys[-1]) is not None


def test_value_that_is_used_stays() -> None:
    cache = MemoryCache(MIB, max_entries=10, default_timeout=60)
    cache.set("used", b"x")
    for number in range(100):
        cache.set(str(number), b"y")
        assert cache.get("used") == b"x"
    assert sum(cache.get(str(number)) is not None for number in range(100)) == 9


def test_expired_value_is_freed_although_nobody_asks() -> None:
    cache = MemoryCache(MIB, max_entries=10, default_timeout=60)
    value = body(1, 1000)

    def references() -> int:
        return sys.getrefcount(value)

    free = references()
    for _ in range(2):
        # the second time, the cache has been empty in between
        cache.set("key", value, timedelta(seconds=1))
        assert references() > free
        eventually(lambda: references() == free)


def test_response_larger_than_an_eighth_of_the_limit_is_not_kept(app: Flask) -> None:
    computed: list[int] = []

    def ask(length: int) -> None:
        def compute() -> bytes:
            computed.append(length)
            return bytes(length)

        assert get_readthrough(("length", length), None, compute) == bytes(length)

    with app.app_context():
        for length in (1000, MIB // 4, MIB // 4, 1000):
            ask(length)
    assert computed == [1000, MIB // 4, MIB // 4]
