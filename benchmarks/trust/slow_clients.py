"""Clients that send or read slowly, and whether the service answers others meanwhile."""

import asyncio
import json
import random
import select
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, cycle
from typing import Any

from benchmarks.trust.processes.service import TrialService
from benchmarks.trust.raw_requests import Ending, request_bytes, send, summarize
from benchmarks.trust.setup import LARGE_ANSWER
from benchmarks.trust.traffic.posters import POST_PATH, SECRET
from benchmarks.trust.traffic.subjects import Subject
from leaderboard.results.auth import sign

KINDS = ("silent", "drip-head", "drip-body", "half-body", "read-nothing", "read-slowly")
DRIP_SECONDS = 1.0
SLOW_BYTES_PER_SECOND = 1024
PROBE_INTERVAL_SECONDS = 0.2
PROBE_TIMEOUT_SECONDS = 30.0
MAX_GOOD_SECONDS = 1.0
"""A probe that takes longer was held up."""
_RESULT = json.dumps(Subject(1, is_ai=False, batch_results=1).result(0)).encode()
PROBES = {
    "regions": request_bytes("/api/regions"),
    "aggregated_stats": request_bytes("/api/aggregated_stats"),
    "score_history": request_bytes("/api/score_history"),
    "post": request_bytes(POST_PATH, "POST", _RESULT, Authorization=sign(SECRET, _RESULT)),
}
"""What others ask meanwhile, in turn."""
RECEIVE_BUFFER_BYTES = 4096


@dataclass
class SlowClients:
    """``number`` clients of one kind, each of which connects again when it is cut off."""

    port: int
    lives: list[float] = field(default_factory=list)
    """Seconds that connections lived which the service ended."""

    async def _attempt(self, kind: str) -> None:
        """What a client does over one connection, until it is cut off."""
        head = b"GET /api/regions HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 4000
        body = b"POST /api/post_stats HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b" " * 5000
        half = len(body) - 2500
        match kind:
            case "silent":
                await self._drip(b"", 0)
            case "drip-head":
                await self._drip(head, 60)
            case "drip-body":
                await self._drip(body, half)
            case "half-body":
                await self._drip(body[:half], half)
            case "read-nothing":
                await self._read(0)
            case "read-slowly":
                await self._read(SLOW_BYTES_PER_SECOND)

    @asynccontextmanager
    async def at_work(self, kind: str, number: int) -> AsyncIterator[None]:
        """Runs the clients until the end of the ``with`` statement."""
        tasks = [asyncio.create_task(self._repeat(kind)) for _ in range(number)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, kind: str) -> None:
        # not all in the same moment
        await asyncio.sleep(random.random())
        while True:
            began = time.monotonic()
            with suppress(OSError):
                await self._attempt(kind)
                self.lives.append(time.monotonic() - began)
            await asyncio.sleep(DRIP_SECONDS * random.random())

    async def _drip(self, request: bytes, at_once: int) -> None:
        """Sends the first bytes at once, and then one at a time."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request[:at_once])
            end = asyncio.create_task(reader.read())
            for number in range(at_once, max(len(request), 10_000)):
                writer.write(request[number : number + 1])
                done, _ = await asyncio.wait({end}, timeout=DRIP_SECONDS)
                if done:
                    end.result()
                    return
        finally:
            writer.transport.abort()

    async def _read(self, bytes_per_second: int) -> None:
        """Asks for the large answer, and reads it slowly or not at all."""
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            await loop.sock_connect(client, ("127.0.0.1", self.port))
            await loop.sock_sendall(client, request_bytes(LARGE_ANSWER))
            while not _is_reset(client):
                await asyncio.sleep(DRIP_SECONDS)
                if bytes_per_second and not await loop.sock_recv(client, bytes_per_second):
                    return


def measure_slow_clients(
    service: TrialService,
    port: int,
    kinds: Sequence[str],
    numbers: Sequence[int],
    seconds: float,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """By kind of slow client, and how many there are: how probes were answered, and how long the slow ones lived.

    Clients connect to ``port``: the service's own, or that of a proxy before it.
    """
    results: dict[str, Any] = {}
    for kind in kinds:
        for number in numbers:
            report(f"{number} clients {kind}")
            results.setdefault(kind, {})[number] = asyncio.run(_measure(service, port, kind, number, seconds))
    return results


async def _measure(service: TrialService, port: int, kind: str, number: int, seconds: float) -> dict[str, Any]:
    clients, memory_mib = SlowClients(port), 0.0
    probes: dict[str, list[asyncio.Task[Ending]]] = {name: [] for name in PROBES}
    async with clients.at_work(kind, number):
        # until all are connected
        await asyncio.sleep(1 + DRIP_SECONDS)
        until, names = time.monotonic() + seconds, cycle(PROBES)
        while time.monotonic() < until:
            name = next(names)
            probes[name].append(asyncio.create_task(send(port, PROBES[name], PROBE_TIMEOUT_SECONDS)))
            memory_mib = max(memory_mib, service.worker_memory_mib())
            await asyncio.sleep(PROBE_INTERVAL_SECONDS)
        endings = {name: await asyncio.gather(*tasks) for name, tasks in probes.items()}
    answered = chain.from_iterable(endings.values())
    good = [ending.what == "200" and ending.seconds <= MAX_GOOD_SECONDS for ending in answered]
    return {
        "probes": {name: summarize(found) for name, found in endings.items()},
        "within_1_s": round(sum(good) / len(good), 3),
        "cut_off": len(clients.lives),
        "worker_mib": round(memory_mib),
        "longest_life_s": round(max(clients.lives, default=0.0), 1),
    }


def _is_reset(client: socket.socket) -> bool:
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))
