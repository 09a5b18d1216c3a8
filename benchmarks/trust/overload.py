"""Far more requests at once than the service has threads."""

import asyncio
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from benchmarks.trust.raw_requests import Ending, request_bytes, send, summarize

REQUEST_TIMEOUT_SECONDS = 60.0
GOOD_SECONDS = 0.5
PROBE = request_bytes("/api/regions")


def measure_overload(
    port: int, connections: list[int], seconds: float, report: Callable[[str], None]
) -> dict[str, Any]:
    """By the number of connections: how their requests ended, and how soon the service recovered.

    Each connection asks one question after another, all of them different, so
    that no answer comes from the cache.
    """
    results = {}
    for number in connections:
        report(f"{number} connections")
        results[str(number)] = asyncio.run(_measure(port, number, seconds))
    return results


async def _measure(port: int, connections: int, seconds: float) -> dict[str, Any]:
    numbers, until = count(), time.monotonic() + seconds

    async def ask() -> list[Ending]:
        endings = []
        while time.monotonic() < until:
            # a window that nobody asked for before
            path = f"/api/score_history?interval=7d&since={1_700_000_000 + time.time_ns() % 10**8 + next(numbers)}"
            endings.append(await send(port, request_bytes(path), REQUEST_TIMEOUT_SECONDS))
            if endings[-1].what != "200":
                await asyncio.sleep(0.2)
        return endings

    endings = [ending for found in await asyncio.gather(*(ask() for _ in range(connections))) for ending in found]
    refused = [ending for ending in endings if ending.what == "503"]
    return {
        "requests": summarize(endings),
        "answered_per_second": round(sum(ending.what == "200" for ending in endings) / seconds, 1),
        "refused_without_retry_after": sum(not ending.retry_after for ending in refused),
        "recovery_seconds": round(await _recovery_seconds(port), 3),
    }


async def _recovery_seconds(port: int) -> float:
    """Seconds until a request is answered quickly again."""
    began = time.monotonic()
    while time.monotonic() - began < REQUEST_TIMEOUT_SECONDS:
        probe = await send(port, PROBE, REQUEST_TIMEOUT_SECONDS)
        if probe.what == "200" and probe.seconds < GOOD_SECONDS:
            break
    return time.monotonic() - began
