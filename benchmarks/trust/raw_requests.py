"""Requests over connections of their own, of which thousands may run at once on one thread."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ending:
    """How a request ended: with a status, or with a broken connection or none in time."""

    what: str
    seconds: float
    retry_after: bool = False


def request_bytes(path: str, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
    """A request after which the connection closes."""
    fields = {"Host": "localhost", "Connection": "close"} | headers
    if body:
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def send(port: int, request: bytes, timeout: float) -> Ending:
    """Sends a request and reads the answer to its end."""
    began = time.monotonic()
    try:
        head = await asyncio.wait_for(_exchange(port, request), timeout)
    except TimeoutError:
        return Ending("no answer in time", time.monotonic() - began)
    except (OSError, asyncio.IncompleteReadError):
        return Ending("broken connection", time.monotonic() - began)
    return Ending(head.split(" ", 2)[1], time.monotonic() - began, "retry-after:" in head.lower())


async def _exchange(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        while await reader.read(1 << 16):
            pass
        return head.decode("latin-1")
    finally:
        writer.close()


def summarize(endings: Iterable[Ending]) -> dict[str, Any]:
    """By how requests ended: how many, and their median and longest time in ms."""
    times: dict[str, list[float]] = {}
    for ending in endings:
        times.setdefault(ending.what, []).append(1000 * ending.seconds)
    return {what: _describe(sorted(found)) for what, found in sorted(times.items())}


def _describe(times: list[float]) -> dict[str, Any]:
    return {"requests": len(times), "median_ms": round(times[len(times) // 2], 1), "max_ms": round(times[-1], 1)}
